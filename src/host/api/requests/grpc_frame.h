#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The five bytes before each message of gRPC (grpc.io's PROTOCOL-HTTP2: flag of compression, length).
namespace llmd::api {

inline constexpr std::size_t kFrameHeadBytes = 5;

struct FrameHead {
  bool compressed = false;
  std::uint32_t bytes = 0;
};

/// Pre: bytes.size() >= kFrameHeadBytes.
[[nodiscard]] inline FrameHead read_frame_head(std::string_view bytes) noexcept {
  const auto byte = [bytes](std::size_t index) { return std::uint32_t{static_cast<unsigned char>(bytes[index])}; };
  return {.compressed = bytes[0] != 0, .bytes = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4)};
}

}  // namespace llmd::api
