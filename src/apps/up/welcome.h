#pragma once

#include <string>
#include <string_view>

#include "net/address.h"

namespace llmd::up {

/// "http://127.0.0.1:8080": how this machine reaches a listener, also one that listens on all addresses.
[[nodiscard]] std::string base_url(const net::Address& listen);

struct WelcomeOptions {
  bool with_key = false;
};
/// What to paste into another terminal: a curl line that answers.
[[nodiscard]] std::string welcome(const net::Address& listen, WelcomeOptions options);

/// Prints a line for the person who started the server, on stdout, at once.
void say(std::string line);
/// Text as it is to stdout; none if it is empty.
void show(std::string_view text);

}  // namespace llmd::up
