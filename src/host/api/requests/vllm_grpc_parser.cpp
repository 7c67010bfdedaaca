#include <algorithm>
#include <limits>

#include "api/requests/media_tokens.h"
#include "api/requests/media_walk.h"
#include "api/requests/parsers.h"
#include "base/hash.h"
#include "base/protobuf_wire.h"

/// vLLM's engine over gRPC. Field numbers: vllm_engine.proto of smg-grpc-proto 0.4.28, package vllm.grpc.engine.
namespace llmd::api {
namespace {

using openai::ByteRange;
using openai::RoutingFields;
using Type = WireReader::Type;

constexpr std::string_view kGenerate = "vllm.grpc.engine.VllmEngine/Generate";
constexpr std::string_view kEmbed = "vllm.grpc.engine.VllmEngine/Embed";
constexpr std::string_view kPaths[] = {kGenerate, kEmbed};

/// Calls `take(field, range)` for each field of a message; `range` is its place in the message, tag and all.
template <class Take>
Result<void> for_each_field(std::string_view message, Take take) {
  WireReader reader{message};
  WireReader::Field field;
  while (true) {
    const std::size_t begin = message.size() - reader.rest().size();
    if (!reader.next(field)) break;
    LLMD_TRY_VOID(take(field, ByteRange{.begin = begin, .end = message.size() - reader.rest().size()}));
  }
  if (reader.broken()) return fail(ErrorCode::kInvalidRequest, "the gRPC message is no protobuf message");
  return {};
}

TokenId token_of(std::uint64_t value) {
  return static_cast<TokenId>(std::min<std::uint64_t>(value, std::numeric_limits<TokenId>::max()));
}

/// Packed varints.
Result<void> append_ids(std::string_view packed, std::vector<TokenId>& ids) {
  const auto ends = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  std::size_t made = ids.size();
  ids.resize(made + static_cast<std::size_t>(std::count_if(packed.begin(), packed.end(), ends)));
  const char* at = packed.data();
  const char* const end = at + packed.size();
  while (at < end) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at++);
      if (shift < 64) value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte >= 0x80) continue;
      ids[made++] = token_of(value);
      break;
    }
  }
  if (packed.empty() || ends(packed.back())) return {};
  return fail(ErrorCode::kInvalidRequest, "input_ids of the gRPC message end in the middle of a number");
}

/// TokenizedInput {original_text = 1, input_ids = 2}. Two of them are one, as protobuf merges messages.
Result<void> read_tokenized(std::string_view message, RoutingFields& fields) {
  return for_each_field(message, [&](const WireReader::Field& field, ByteRange) -> Result<void> {
    if (field.number != 2) return {};
    if (field.type == Type::kBytes) {
      fields.prompt = field.bytes;
      return append_ids(field.bytes, fields.prompt_ids);
    }
    if (field.type == Type::kVarint) fields.prompt_ids.push_back(token_of(field.value));
    return {};
  });
}

/// MultimodalInputs {mm_placeholders = 5 {length = 2}, mm_hashes = 6}.
Result<void> read_media(std::string_view message, std::vector<MediaItem>& media) {
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint64_t> lengths;
  LLMD_TRY_VOID(for_each_field(message, [&](const WireReader::Field& field, ByteRange) -> Result<void> {
    if (field.type != Type::kBytes || lengths.size() >= kMediaItemsMax || hashes.size() >= kMediaItemsMax) return {};
    if (field.number == 6) hashes.push_back(xxh64(field.bytes));
    if (field.number != 5) return {};
    lengths.push_back(0);
    return for_each_field(field.bytes, [&](const WireReader::Field& inner, ByteRange) -> Result<void> {
      if (inner.number == 2 && inner.type == Type::kVarint) lengths.back() = inner.value;
      return {};
    });
  }));
  for (std::size_t i = 0; i < lengths.size() && media.size() < kMediaItemsMax; ++i) {
    media.push_back({.hash = i < hashes.size() ? hashes[i] : 0,
                     .weight = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(lengths[i], 1, kMediaTokensMax))});
  }
  return {};
}

/// SamplingParams {max_tokens = 8}.
Result<void> read_sampling(std::string_view message, RoutingFields& fields) {
  return for_each_field(message, [&](const WireReader::Field& field, ByteRange) -> Result<void> {
    if (field.number == 8 && field.type == Type::kVarint) {
      fields.output_tokens_max =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(field.value, std::numeric_limits<std::uint32_t>::max()));
    }
    return {};
  });
}

/// GenerateRequest {request_id = 1, tokenized = 2 | text = 3, sampling_params = 4, stream = 5, kv_transfer_params = 6,
/// mm_inputs = 7, kv_transfer_params_json = 8, data_parallel_rank = 9, extra_mm_inputs = 11}; EmbedRequest has the
/// first two. Of `tokenized` and `text` the last counts.
struct RequestReader {
  ParsedRequest& out;
  std::size_t offset;  // of the message in the body
  bool has_input = false;
  bool is_text = false;

  Result<void> take(const WireReader::Field& field, ByteRange range) {
    RoutingFields& fields = out.fields;
    const bool bytes = field.type == Type::kBytes;
    switch (field.number) {
      case 1:
        if (bytes) out.request_id = field.bytes;
        break;
      case 2:
        if (!bytes) break;
        if (is_text) fields.prompt = {};
        has_input = true;
        is_text = false;
        return read_tokenized(field.bytes, fields);
      case 3:
        if (!bytes) break;
        has_input = is_text = true;
        fields.prompt_ids.clear();
        fields.prompt = field.bytes;
        break;
      case 4: return bytes ? read_sampling(field.bytes, fields) : Result<void>{};
      case 5:
        if (field.type == Type::kVarint) fields.stream = field.value != 0;
        break;
      case 7:
      case 11: return bytes ? read_media(field.bytes, out.media) : Result<void>{};
      case 6:
      case 8:
      case 9: fields.steering.push_back({.begin = offset + range.begin, .end = offset + range.end}); break;
      default: break;
    }
    return {};
  }
};

Result<ParsedRequest> parse(std::string_view path, std::string& body, const ParseHints& /*hints*/) {
  path = plain_path(path);
  ParsedRequest request;
  request.has_model = false;
  const bool generates = path.ends_with(kGenerate);
  if (!generates && !path.ends_with(kEmbed)) {
    request.skips_response = true;
    request.answer = AnswerForm::kUnknown;
    return request;
  }
  request.answer = generates ? AnswerForm::kGenerateFrames : AnswerForm::kEmbedFrames;
  LLMD_TRY(const ByteRange place, request_message(body));
  const std::string_view message{body.data() + place.begin, place.end - place.begin};
  request.lengths.push_back({.kind = LengthField::Kind::kFrame, .place = {1, 5}, .bytes = message.size()});
  RequestReader reader{.out = request, .offset = place.begin};
  LLMD_TRY_VOID(for_each_field(message, [&](const WireReader::Field& field, ByteRange range) -> Result<void> {
    if (!generates && field.number > 2) return {};
    return reader.take(field, range);
  }));
  if (!reader.has_input) {
    return fail(ErrorCode::kInvalidRequest, generates ? "the gRPC request has neither tokenized input nor text"
                                                      : "the gRPC request has no tokenized input");
  }
  return request;
}

}  // namespace

constinit const RequestParser kVllmGrpcParser{
    .type = "vllmgrpc-parser", .path_suffixes = kPaths, .protocols = kH2cOnly, .parse = parse};

}  // namespace llmd::api
