#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmd::testkit {

/// HTTP/2 frames by hand (RFC 9113, section 4), also such as no library would send.
enum class H2Frame : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPush = 5,
  kPing = 6,
  kGoAway = 7,
  kWindow = 8,
  kContinuation = 9,
  kUnknown = 0x7f,
};
inline constexpr int kEndStream = 1;
inline constexpr int kAck = 1;
inline constexpr int kEndHeaders = 4;
inline constexpr int kPadded = 8;
inline constexpr int kHasPriority = 0x20;

inline std::string number32(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

inline std::string h2_frame(H2Frame type, int flags, std::uint32_t stream, std::string_view payload = {}) {
  std::string frame = number32(static_cast<std::uint32_t>(payload.size())).substr(1);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  frame += number32(stream);
  frame += payload;
  return frame;
}

inline std::string h2_setting(std::uint16_t id, std::uint32_t value) {
  return std::string{static_cast<char>(id >> 8), static_cast<char>(id & 0xff)} + number32(value);
}

/// What a client begins with.
inline std::string h2_preface() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(H2Frame::kSettings, 0, 0); }

/// Fields as HPACK has them, each in full, so that no state is shared. Names and values are shorter than 127 bytes.
inline std::string h2_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block += '\0';
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());
    block += value;
  }
  return block;
}

/// The head of a request that is as it should be, and what follows `more`.
inline std::string h2_request(std::uint32_t stream, bool ends,
                              const std::vector<std::pair<std::string, std::string>>& more = {}) {
  std::vector<std::pair<std::string, std::string>> fields{
      {":method", "POST"}, {":scheme", "http"}, {":path", "/a"}, {":authority", "h"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return h2_frame(H2Frame::kHeaders, kEndHeaders | (ends ? kEndStream : 0), stream, h2_fields(fields));
}

struct H2FrameSeen {
  H2Frame type{};
  int flags = 0;
  std::uint32_t stream = 0;
  std::string payload{};
};

inline std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4 && i < bytes.size(); ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// Cuts what a server has sent into frames; what is left of an unfinished one stays in `bytes`.
inline std::vector<H2FrameSeen> take_frames(std::string& bytes) {
  constexpr std::size_t kHead = 9;
  std::vector<H2FrameSeen> frames;
  std::size_t at = 0;
  while (bytes.size() - at >= kHead) {
    const std::size_t size = number_at(bytes, at) >> 8;
    if (bytes.size() - at < kHead + size) break;
    frames.push_back({.type = static_cast<H2Frame>(bytes[at + 3]),
                      .flags = static_cast<unsigned char>(bytes[at + 4]),
                      .stream = number_at(bytes, at + 5),
                      .payload = bytes.substr(at + kHead, size)});
    at += kHead + size;
  }
  bytes.erase(0, at);
  return frames;
}

}  // namespace llmd::testkit
