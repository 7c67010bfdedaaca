#pragma once

#include <array>
#include <string_view>

#include "api/requests/body_reader.h"
#include "api/requests/request_parser.h"

/// What the parsers share. Internal to api.
namespace llmd::api {

extern const RequestParser kOpenAiParser;
extern const RequestParser kAnthropicParser;
extern const RequestParser kVllmHttpParser;
extern const RequestParser kSglangHttpParser;
extern const RequestParser kVllmGrpcParser;
extern const RequestParser kVertexAiParser;
extern const RequestParser kPassthroughParser;

inline constexpr std::array<std::string_view, 2> kHttpAndH2c{"http", "kubernetes.io/h2c"};
inline constexpr std::array<std::string_view, 1> kH2cOnly{"kubernetes.io/h2c"};

/// One API of a protocol: its path, its body, and what the body must have.
struct Api {
  std::string_view path_suffix;
  BodyForm form;
  std::string_view prompt_field;  // as an error names it
  bool empty_prompt_allowed = false;
  bool list_only = false;
};

/// Reads a JSON body of the API. Errors: as RequestParser::parse.
[[nodiscard]] Result<ParsedRequest> parse_json(const Api& api, std::string& body, openai::ByteRange json,
                                               const ParseHints& hints);
/// The same without asking for a model.
[[nodiscard]] Result<ParsedRequest> parse_json_without_model(const Api& api, std::string& body, openai::ByteRange json,
                                                             const ParseHints& hints);

/// The message of the one gRPC frame that a request is. Errors: kInvalidRequest.
[[nodiscard]] Result<openai::ByteRange> request_message(std::string_view body);

/// OpenAI's chat, and what Vertex AI takes as raw prediction.
extern const Api kChatApi;
extern const Api kRawPredictApi;

}  // namespace llmd::api
