#include "apps/chat/chat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "apps/chat/conversation.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "runtime/signals.h"

namespace llmd {
namespace chat {
namespace {

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Lines of stdin are questions, until its end or "/quit". In a terminal an error does not end the talk.
int talk(Conversation& conversation) {
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  std::string line;
  while (true) {
    if (terminal) put("> ");
    if (!std::getline(std::cin, line) || line == "/quit") break;
    if (line.empty()) continue;
    const auto asked = conversation.ask(line, put);
    put("\n");
    if (asked) continue;
    fmt::print(stderr, "llmd chat: {}\n", asked.error().to_string());
    if (!terminal) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace chat

int chat_main(int argc, char** argv) {
  std::string url = "http://127.0.0.1:8080";
  chat::Settings settings;
  CLI::App app{"Talks to a server in the terminal. Each line is a question; /quit or Ctrl-D ends.", "llmd chat"};
  flags::add_address_flag(app, "--url", url, "Server: http://HOST:PORT or unix:PATH")->capture_default_str();
  app.add_option("--model", settings.model, "Model name")->capture_default_str();
  app.add_option("--system", settings.system, "System message");
  flags::in_range(app.add_option("--temperature", settings.temperature, "0 (always the likeliest word) to 2 (wild)"), 0,
                  2)
      ->capture_default_str();
  app.add_option("--max-tokens", settings.max_tokens, "Longest answer (default: the server's)")
      ->check(CLI::Range(1U, 16'777'216U));
  app.footer("LLMD_API_KEY, if set, is sent as the bearer key.");
  if (const auto ending = flags::parse(app, argc, argv)) return flags::end(*ending);
  settings.api_key = flags::api_key();
  auto server = net::Address::parse(url);
  if (!server) return flags::end(flags::refusal(app, server.error()));
  ignore_sigpipe();
  chat::Conversation conversation{*std::move(server), std::move(settings)};
  return chat::talk(conversation);
}

}  // namespace llmd
