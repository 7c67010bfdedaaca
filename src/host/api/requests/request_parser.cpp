#include "api/requests/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/requests/grpc_frame.h"
#include "api/requests/json_fault.h"
#include "api/requests/parsers.h"

namespace llmd::api {
namespace {

using openai::ByteRange;
using openai::TextEdit;

std::string encoded(LengthField::Kind kind, std::uint64_t value) {
  std::string out;
  if (kind == LengthField::Kind::kFrame) {
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xff);
    return out;
  }
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
  return out;
}

/// What llm-d says, where its tests compare the text.
Error in_words_of_llm_d(Error error, std::string_view json) {
  // The fault is looked for byte by byte, and nobody else is served meanwhile.
  constexpr std::size_t kDescribedMax = std::size_t{1} << 20U;
  if (error.code != ErrorCode::kInvalidJson || json.size() > kDescribedMax) return error;
  const std::string fault = json_fault(json);
  error.what = fmt::format("error unmarshaling request bodyMap: {}", fault.empty() ? error.what : fault);
  return error;
}

}  // namespace

std::span<const RequestParser> all_parsers() noexcept {
  static const std::array kParsers{kOpenAiParser,   kAnthropicParser, kVllmHttpParser,   kSglangHttpParser,
                                   kVllmGrpcParser, kVertexAiParser,  kPassthroughParser};
  return kParsers;
}

const RequestParser* find_parser(std::string_view type) noexcept {
  const auto parsers = all_parsers();
  const auto found =
      std::find_if(parsers.begin(), parsers.end(), [&](const RequestParser& parser) { return parser.type == type; });
  return found != parsers.end() ? &*found : nullptr;
}

std::string_view plain_path(std::string_view path) noexcept {
  path = path.substr(0, path.find('?'));
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!path.empty() && blank(path.back())) path.remove_suffix(1);
  while (!path.empty() && blank(path.front())) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

const RequestParser* choose_parser(std::span<const RequestParser* const> configured, std::string_view path) noexcept {
  path = plain_path(path);
  const RequestParser* chosen = nullptr;
  const RequestParser* fallback = nullptr;
  std::size_t longest = 0;
  for (const RequestParser* parser : configured) {
    if (parser->path_suffixes.empty() && fallback == nullptr) fallback = parser;
    for (const std::string_view suffix : parser->path_suffixes) {
      if (suffix.size() <= longest || !path.ends_with(suffix)) continue;
      longest = suffix.size();
      chosen = parser;
    }
  }
  return chosen != nullptr ? chosen : fallback;
}

std::optional<std::string> rewrite_request(std::string_view body, const ParsedRequest& request,
                                           openai::BodyChanges changes) {
  if (request.fields.object_begin == 0) changes = {};  // no JSON object to put anything into
  if (!request.has_model) changes.model.reset();
  std::string scratch;
  std::vector<TextEdit> edits = openai::edits_of(request.fields, changes, scratch);
  if (edits.empty()) return std::nullopt;
  std::int64_t grown = 0;
  for (const TextEdit& edit : edits) {
    grown += static_cast<std::int64_t>(edit.text.size()) - static_cast<std::int64_t>(edit.range.end - edit.range.begin);
  }
  // From the inside out: a longer length makes what is around it longer, too.
  std::vector<std::string> lengths(request.lengths.size());
  for (std::size_t i = request.lengths.size(); i > 0; --i) {
    const LengthField& field = request.lengths[i - 1];
    lengths[i - 1] = encoded(field.kind, field.bytes + static_cast<std::uint64_t>(grown));
    grown += static_cast<std::int64_t>(lengths[i - 1].size()) -
             static_cast<std::int64_t>(field.place.end - field.place.begin);
    edits.insert(edits.begin(), {.range = field.place, .text = lengths[i - 1]});
  }
  return openai::apply_text_edits(body, edits);
}

Result<ParsedRequest> parse_json_without_model(const Api& api, std::string& body, ByteRange json,
                                               const ParseHints& hints) {
  auto read = read_body(body, json, api.form, hints);
  if (!read)
    return std::unexpected(
        in_words_of_llm_d(std::move(read).error(), {body.data() + json.begin, json.end - json.begin}));
  BodyReading reading = *std::move(read);
  const bool wrong = !reading.has_prompt || (reading.prompt_is_empty && !api.empty_prompt_allowed) ||
                     (api.list_only && !reading.prompt_is_list);
  if (wrong) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = fmt::format("{} is missing, empty or of the wrong type", api.prompt_field),
                                 .hint = fmt::format("send a {} that is not empty", api.prompt_field),
                                 .param = std::string{api.prompt_field}});
  }
  ParsedRequest request;
  request.fields = std::move(reading.fields);
  request.media = std::move(reading.media);
  request.request_id = reading.request_id;
  return request;
}

Result<ParsedRequest> parse_json(const Api& api, std::string& body, ByteRange json, const ParseHints& hints) {
  LLMD_TRY(ParsedRequest request, parse_json_without_model(api, body, json, hints));
  const auto& model = request.fields.model;
  if (hints.model_required && (!model || model->empty())) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = "model not found in request body",
                                 .hint = "name the model in the field model",
                                 .param = "model"});
  }
  return request;
}

Result<ByteRange> request_message(std::string_view body) {
  if (body.size() < kFrameHeadBytes) return fail(ErrorCode::kInvalidRequest, "the body is no gRPC message");
  const FrameHead head = read_frame_head(body);
  if (head.compressed) {
    return fail(ErrorCode::kInvalidRequest, "the gRPC message is compressed, which no parser reads",
                "send it with grpc-encoding identity");
  }
  if (body.size() - kFrameHeadBytes < head.bytes) {
    return fail(ErrorCode::kInvalidRequest, fmt::format("the gRPC message should have {} bytes and has {}", head.bytes,
                                                        body.size() - kFrameHeadBytes));
  }
  return ByteRange{.begin = kFrameHeadBytes, .end = kFrameHeadBytes + head.bytes};
}

}  // namespace llmd::api
