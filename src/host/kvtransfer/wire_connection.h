#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "kvtransfer/wire.h"
#include "kvtransfer/wire_socket.h"

namespace llmd::kvtransfer {

/// One connection as messages. Belongs to one loop; one coroutine uses it at a time. Errors are those of WireSocket and
/// of WireParser; after one the connection is useless.
class WireConnection {
 public:
  WireConnection(Loop& loop, net::Socket socket, WireParser::Options options)
      : socket_{loop, std::move(socket)}, parser_{options} {
    if (options.side == WireSide::kPuller) socket_.accept_passed_fd();
  }

  [[nodiscard]] Task<Result<Message>> next();
  /// Goes out with the next send(). Pre: as encode().
  void queue(const Message& message) { encode(message, out_); }
  [[nodiscard]] Task<Result<void>> send(const Message& message, int passed_fd = -1);
  /// A message with the bytes of a block behind it, which must live until the task ends.
  [[nodiscard]] Task<Result<void>> send_with_payload(const Message& message, std::span<const std::byte> payload);
  /// See WireParser.
  void payload_into(std::span<std::byte> target) noexcept { parser_.payload_into(target); }
  [[nodiscard]] WireSocket& socket() noexcept { return socket_; }
  /// Open, and nothing has come that was not returned.
  [[nodiscard]] bool is_quiet() noexcept { return begin_ == end_ && socket_.is_quiet(); }

 private:
  [[nodiscard]] Task<Result<void>> flush(std::span<const std::byte> payload, int passed_fd);
  WireSocket socket_;
  WireParser parser_;
  std::array<std::byte, 4'096> in_;  // many messages come with one call; payloads pass it by
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<std::byte> out_;
};

}  // namespace llmd::kvtransfer
