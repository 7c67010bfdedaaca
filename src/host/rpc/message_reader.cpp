#include "rpc/message_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "rpc/gzip.h"

namespace llmd::rpc {

Result<void> MessageReader::read_head() {
  const auto mark = static_cast<unsigned char>(head_[0]);
  if (mark > 1) return fail(ErrorCode::kProtocol, fmt::format("a message that begins with {:#04x}", mark));
  if (mark == 1 && encoding_ == Encoding::kIdentity)
    return fail(ErrorCode::kProtocol, "a compressed message", "name its coding in grpc-encoding");
  length_ = 0;
  for (std::size_t i = 1; i < kHeadBytes; ++i) length_ = length_ << 8 | static_cast<unsigned char>(head_[i]);
  if (length_ <= message_bytes_max_) return {};
  return fail(ErrorCode::kBodyTooLarge,
              fmt::format("a message of {} bytes, at most {} are taken", length_, message_bytes_max_));
}

Result<void> MessageReader::take(std::string_view piece, std::vector<std::string>& messages) {
  while (!piece.empty()) {
    if (head_bytes_ < kHeadBytes) {
      const std::size_t now = std::min(kHeadBytes - head_bytes_, piece.size());
      std::copy_n(piece.data(), now, head_ + head_bytes_);
      head_bytes_ += now;
      piece.remove_prefix(now);
      if (head_bytes_ < kHeadBytes) return {};
      LLMD_TRY_VOID(read_head());
      // The length is the peer's word: memory grows with what comes.
      if (length_ <= piece.size()) message_.reserve(length_);
    }
    const std::size_t now = std::min(length_ - message_.size(), piece.size());
    message_.append(piece.substr(0, now));
    piece.remove_prefix(now);
    if (message_.size() < length_) return {};
    head_bytes_ = 0;
    std::string message = std::exchange(message_, {});
    if (head_[0] != 0) {
      LLMD_TRY(message, inflate_gzip(message, message_bytes_max_));
    }
    messages.push_back(std::move(message));
  }
  // An empty message is whole with its head.
  return {};
}

std::string message_head(std::size_t bytes) {
  std::string head(5, '\0');
  for (std::size_t i = 0; i < 4; ++i) head[4 - i] = static_cast<char>(bytes >> (8 * i) & 0xff);
  return head;
}

}  // namespace llmd::rpc
