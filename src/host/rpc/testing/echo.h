#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rpc/server.h"
#include "rpc/status.h"

namespace llmd::testkit {

/// A message of one piece.
inline std::vector<net::H2Bytes> pieces(std::string text) {
  std::vector<net::H2Bytes> all;
  all.push_back(net::own(std::move(text)));
  return all;
}

/// A method that answers each message with itself.
inline Task<rpc::Status> echo(rpc::ServerCall& call) {
  while (true) {
    auto message = co_await call.read();
    if (!message) co_return rpc::status_of(message.error());
    if (!*message) co_return rpc::Status{};
    const auto sent = co_await call.write(pieces(**std::move(message)));
    if (!sent) co_return rpc::status_of(sent.error());
  }
}

}  // namespace llmd::testkit
