// links: llmd_api
// Requests of Anthropic's messages and OpenAI's responses over any bytes: no crash, errors that a client may see in the
// API's shape, and a chat completion that is JSON and that the parser of chats accepts, but for what only it checks.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "api/conversion/chat_conversion.h"
#include "api/openai/chat_request.h"
#include "api/responses/responses_request.h"

namespace {

using llmd::api::Dialect;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(Dialect dialect, const std::string& body, bool text_only) {
  const auto request = llmd::api::convert_request(dialect, body, {.text_only = text_only});
  if (!request) {
    const auto answer = llmd::api::render_error(dialect, request.error());
    require(answer.status >= 400 && answer.status <= 599 && nlohmann::json::accept(answer.json));
    return;
  }
  require(nlohmann::json::accept(request->body));
  require(nlohmann::json::accept("{" + request->echo + "}"));
  const auto chat = llmd::openai::parse_chat_completion(request->body);
  // What was found right under the client's names is right under the chat's. Fields that pass unread are the parser's.
  if (!chat) require(chat.error().param.find("messages[") != 0 || !text_only);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string body{reinterpret_cast<const char*>(data) + 1, size - 1};
  const bool text_only = (data[0] & 1U) != 0;
  check(Dialect::kMessages, body, text_only);
  check(Dialect::kCountTokens, body, text_only);
  check(Dialect::kResponses, body, text_only);
  const std::string before = body;
  (void)llmd::responses::check_stateless(body);
  require(body == before);
  return 0;
}
