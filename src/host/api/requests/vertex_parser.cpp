#include "api/requests/parsers.h"
#include "base/protobuf_wire.h"

/// Vertex AI's prediction service over gRPC, whose messages carry OpenAI's JSON. Field numbers: prediction_service of
/// google-cloud-aiplatform 2.7.0 (v1beta1; ChatCompletionsRequest, RawPredictRequest and StreamRawPredictRequest have
/// http_body = 2) and google/api/httpbody.proto of googleapis-common-protos 1.76.0 (data = 2).
namespace llmd::api {
namespace {

using openai::ByteRange;

constexpr std::string_view kChat = "PredictionService/ChatCompletions";
constexpr std::string_view kPaths[] = {kChat, "PredictionService/StreamRawPredict", "PredictionService/RawPredict"};
constexpr std::uint32_t kHttpBody = 2;
constexpr std::uint32_t kData = 2;

/// The last bytes field of the number in a part of the body: its place, and where its length stands.
struct Found {
  ByteRange bytes;
  ByteRange length;
};

Result<std::optional<Found>> find_bytes(std::string_view body, ByteRange message, std::uint32_t number) {
  WireReader reader{body.substr(message.begin, message.end - message.begin)};
  WireReader::Field field;
  std::optional<Found> found;
  while (true) {
    const std::size_t tag = message.end - reader.rest().size();
    if (!reader.next(field)) break;
    if (field.number != number || field.type != WireReader::Type::kBytes) continue;
    const std::size_t end = message.end - reader.rest().size();
    const std::size_t begin = end - field.bytes.size();
    std::size_t length = tag;  // behind the tag
    while (static_cast<unsigned char>(body[length]) >= 0x80) ++length;
    found = Found{.bytes = {begin, end}, .length = {length + 1, begin}};
  }
  if (reader.broken()) return fail(ErrorCode::kInvalidRequest, "the gRPC message is no protobuf message");
  return found;
}

Result<ParsedRequest> parse(std::string_view path, std::string& body, const ParseHints& hints) {
  LLMD_TRY(const ByteRange message, request_message(body));
  LLMD_TRY(const auto http_body, find_bytes(body, message, kHttpBody));
  if (!http_body) return fail(ErrorCode::kInvalidRequest, "the gRPC request has no http_body");
  LLMD_TRY(const auto data, find_bytes(body, http_body->bytes, kData));
  const ByteRange json = data ? data->bytes : ByteRange{.begin = body.size(), .end = body.size()};
  const Api& api = plain_path(path).ends_with(kChat) ? kChatApi : kRawPredictApi;
  LLMD_TRY(ParsedRequest request, parse_json_without_model(api, body, json, hints));
  using Kind = LengthField::Kind;
  const auto bytes = [](ByteRange range) { return range.end - range.begin; };
  request.lengths = {{.kind = Kind::kFrame, .place = {1, 5}, .bytes = bytes(message)},
                     {.kind = Kind::kVarint, .place = http_body->length, .bytes = bytes(http_body->bytes)},
                     {.kind = Kind::kVarint, .place = data->length, .bytes = bytes(data->bytes)}};
  request.has_model = request.fields.model.has_value();
  request.answer = AnswerForm::kHttpBodyFrames;
  return request;
}

}  // namespace

constinit const RequestParser kVertexAiParser{
    .type = "vertexai-parser", .path_suffixes = kPaths, .protocols = kH2cOnly, .parse = parse};

}  // namespace llmd::api
