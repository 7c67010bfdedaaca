#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::rpc {

/// How the messages of a call that are marked so are compressed.
enum class Encoding : std::uint8_t { kIdentity, kGzip };

/// Puts the messages of a call together from the pieces of its body: each begins with a byte that tells whether it is
/// compressed, and its length in four bytes, the highest first (grpc/grpc, doc/PROTOCOL-HTTP2.md).
class MessageReader {
 public:
  /// The limit holds before and after a message is inflated.
  explicit MessageReader(std::size_t message_bytes_max, Encoding encoding = Encoding::kIdentity) noexcept
      : message_bytes_max_{message_bytes_max}, encoding_{encoding} {}

  /// Takes a piece; the messages that it completes are appended to `messages`. Errors, after which nothing more is to
  /// be taken: kBodyTooLarge (a message above the limit), kProtocol (a head that is none, or a compressed message that
  /// is damaged, or where none was announced).
  [[nodiscard]] Result<void> take(std::string_view piece, std::vector<std::string>& messages);
  /// Bytes of a message that is not whole yet.
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return head_bytes_ + message_.size(); }

 private:
  static constexpr std::size_t kHeadBytes = 5;

  [[nodiscard]] Result<void> read_head();

  std::size_t message_bytes_max_;
  Encoding encoding_;
  char head_[kHeadBytes]{};
  std::size_t head_bytes_ = 0;
  std::size_t length_ = 0;
  std::string message_;
};

/// The head of a message of this many bytes, not compressed.
[[nodiscard]] std::string message_head(std::size_t bytes);

}  // namespace llmd::rpc
