#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/conversion/converted_request.h"
#include "api/conversion/dialect.h"
#include "api/openai/chat_answer_writer.h"
#include "base/error.h"

/// Between chat completions, which every engine serves, and the other APIs: requests one way, answers the other.
namespace llmd::api {

/// The request as a chat completion. Errors name the client's own fields: kInvalidJson, kBodyTooLarge, kInvalidRequest,
/// kUnsupported. Pre: not kOpenAi.
[[nodiscard]] Result<ConvertedRequest> convert_request(Dialect dialect, std::string_view body,
                                                       ConversionOptions options = {});

/// The path that takes the converted body.
[[nodiscard]] std::string_view chat_path(Dialect dialect) noexcept;

/// What an answer says beside what was generated.
struct AnswerFacts {
  std::string request_id;
  std::string model;
  std::int64_t created = 0;         // Unix seconds
  std::uint32_t prompt_tokens = 0;  // 0: not known before the answer's end
};
/// Pre: kMessages or kResponses.
[[nodiscard]] std::unique_ptr<openai::ChatAnswerWriter> make_answer_writer(Dialect dialect,
                                                                           const ConvertedRequest& request,
                                                                           const AnswerFacts& facts);

/// A whole answer of an endpoint's (of chat_path()) in the client's API. Error kProtocol.
[[nodiscard]] Result<std::string> convert_answer(Dialect dialect, const ConvertedRequest& request,
                                                 const AnswerFacts& facts, std::string_view answer);

}  // namespace llmd::api
