#include "apps/up/welcome.h"

#include <fmt/format.h>
#include <unistd.h>

#include "telemetry/log.h"

namespace llmd::up {

std::string base_url(const net::Address& listen) {
  if (listen.is_unix()) return listen.to_string();
  net::Address reached = listen;
  if (reached.host == "0.0.0.0" || reached.host.empty()) reached.host = "127.0.0.1";
  if (reached.host == "::") reached.host = "::1";
  return "http://" + reached.to_string();
}

std::string welcome(const net::Address& listen, WelcomeOptions options) {
  const std::string key = options.with_key ? R"( -H "Authorization: Bearer $LLMD_API_KEY")" : "";
  if (listen.is_unix()) {
    return fmt::format("ready; try it:\n  curl --unix-socket {} http://localhost/v1/models{}", listen.unix_path, key);
  }
  return fmt::format(
      "ready; try it:\n"
      "  curl {}/v1/chat/completions{} -H 'Content-Type: application/json' -d "
      R"('{{"messages":[{{"role":"user","content":"Why is the sky blue?"}}],"max_tokens":64,"temperature":0}}')",
      base_url(listen), key);
}

void say(std::string line) {
  line += '\n';
  log::put_line(STDOUT_FILENO, line);
}

void show(std::string_view text) {
  if (!text.empty()) log::put_line(STDOUT_FILENO, text);
}

}  // namespace llmd::up
