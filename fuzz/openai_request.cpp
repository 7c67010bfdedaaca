// links: llmd_api
// Every request parser of api/openai over any bytes, and what it wrote again: no crash, and each error
// names a code that a client may see.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/openai/chat_answer.h"
#include "api/openai/chat_request.h"
#include "api/openai/completion_request.h"
#include "api/openai/embedding_request.h"
#include "api/openai/error.h"
#include "api/openai/json_writer.h"
#include "api/openai/prompt_tokens.h"
#include "api/openai/tokenize_request.h"

namespace {

template <class T>
void check(const llmd::Result<T>& result) {
  if (result) return;
  const auto answer = llmd::openai::render_error(result.error());
  if (answer.status < 400 || answer.status > 599 || answer.json.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body{reinterpret_cast<const char*>(data), size};
  const auto chat = llmd::openai::parse_chat_completion(body);
  check(chat);
  if (chat) {
    // What was written again must be JSON that is read the same way.
    const std::string again = R"({"messages":)" + chat->prompt.messages_json + "}";
    if (chat->prompt.messages_json != "[]" && !llmd::openai::parse_chat_completion(again)) std::abort();
  }
  check(llmd::openai::parse_completion(body));
  if (const auto prompts = llmd::openai::decode_prompt_tokens(body); !prompts.empty()) {
    // What is read is what would be written, but for the bits that base64 leaves over.
    if (llmd::openai::decode_prompt_tokens(llmd::openai::encode_prompt_tokens(prompts)) != prompts) std::abort();
  }
  check(llmd::openai::parse_embedding(body));
  check(llmd::openai::parse_tokenize(body));
  check(llmd::openai::parse_detokenize(body));
  std::string out;
  llmd::openai::append_json_string(out, body);
  if (!llmd::openai::parse_tokenize(R"({"prompt":)" + out + "}") && size < 1'000'000) std::abort();
  return 0;
}
