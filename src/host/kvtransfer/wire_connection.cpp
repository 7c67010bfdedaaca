#include "kvtransfer/wire_connection.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace llmd::kvtransfer {

Task<Result<Message>> WireConnection::next() {
  while (true) {
    const std::span<std::byte> space = parser_.space();
    std::size_t count = 0;
    if (begin_ == end_ && space.size() >= in_.size()) {
      LLMD_CO_TRY(count, co_await socket_.receive(space));
    } else {
      if (begin_ == end_) {
        LLMD_CO_TRY(end_, co_await socket_.receive(in_));
        begin_ = 0;
      }
      count = std::min(space.size(), end_ - begin_);
      std::copy_n(in_.begin() + static_cast<std::ptrdiff_t>(begin_), count, space.begin());
      begin_ += count;
    }
    LLMD_CO_TRY(std::optional<Message> message, parser_.advance(count));
    if (message) co_return *std::move(message);
  }
}

Task<Result<void>> WireConnection::send(const Message& message, int passed_fd) {
  encode(message, out_);  // here, so that the message need not live as long as the task
  return flush({}, passed_fd);
}

Task<Result<void>> WireConnection::send_with_payload(const Message& message, std::span<const std::byte> payload) {
  encode(message, out_);
  return flush(payload, -1);
}

Task<Result<void>> WireConnection::flush(std::span<const std::byte> payload, int passed_fd) {
  std::array pieces{iovec{.iov_base = out_.data(), .iov_len = out_.size()},
                    iovec{.iov_base = const_cast<std::byte*>(payload.data()), .iov_len = payload.size()}};
  const std::span<iovec> used = std::span{pieces}.first(payload.empty() ? 1 : 2);
  const Result<void> sent = co_await socket_.send(used, passed_fd);
  out_.clear();
  co_return sent;
}

}  // namespace llmd::kvtransfer
