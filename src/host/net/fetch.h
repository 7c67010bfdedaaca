#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/address.h"

namespace llmd::net {

struct FetchOptions {
  std::chrono::milliseconds timeout{5'000};  // of each step: connect, answer, piece of the body
  std::size_t body_bytes_max = 64 * 1024 * 1024;
  std::string_view authorization{};  // header value, empty for none
  std::string_view method = "GET";
};

struct Fetched {
  int status = 0;
  std::string body;
};

/// Asks for `target` and returns the whole answer. Blocks: for tools that have no loop of their own.
/// Errors: as Client::send and ClientResponse::read_all.
[[nodiscard]] Result<Fetched> fetch(const Address& address, std::string_view target, const FetchOptions& options = {});

}  // namespace llmd::net
