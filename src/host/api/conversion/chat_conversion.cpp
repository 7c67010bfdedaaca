#include "api/conversion/chat_conversion.h"

#include "api/anthropic/message_writer.h"
#include "api/anthropic/messages_request.h"
#include "api/openai/chat_answer_reader.h"
#include "api/responses/response_writer.h"
#include "api/responses/responses_request.h"

namespace llmd::api {

Result<ConvertedRequest> convert_request(Dialect dialect, std::string_view body, ConversionOptions options) {
  if (dialect == Dialect::kResponses) return responses::convert_response_request(body, options);
  options.counts_tokens = dialect == Dialect::kCountTokens;
  return anthropic::convert_messages(body, options);
}

std::string_view chat_path(Dialect dialect) noexcept {
  return dialect == Dialect::kCountTokens ? "/tokenize" : "/v1/chat/completions";
}

std::unique_ptr<openai::ChatAnswerWriter> make_answer_writer(Dialect dialect, const ConvertedRequest& request,
                                                             const AnswerFacts& facts) {
  if (dialect == Dialect::kResponses) {
    return responses::make_response_writer(
        {.id = facts.request_id, .model = facts.model, .created = facts.created, .echo = request.echo});
  }
  return anthropic::make_message_writer({.id = openai::answer_id("msg_", facts.request_id),
                                         .model = facts.model,
                                         .stop = request.stop,
                                         .prompt_tokens = facts.prompt_tokens});
}

Result<std::string> convert_answer(Dialect dialect, const ConvertedRequest& request, const AnswerFacts& facts,
                                   std::string_view answer) {
  std::string json;
  if (dialect == Dialect::kCountTokens) {
    LLMD_TRY(const std::uint32_t tokens, openai::read_token_count(answer));
    anthropic::append_token_count(json, tokens);
    return json;
  }
  LLMD_TRY(const openai::ChatAnswer read, openai::read_chat_answer(answer));
  make_answer_writer(dialect, request, facts)->append_whole(json, {&read.choice, 1}, read.usage, nullptr);
  return json;
}

}  // namespace llmd::api
