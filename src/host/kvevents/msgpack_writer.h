#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmd::kvevents {

/// Appends MessagePack values to a string, each in its shortest form. Containers announce their size first; that the
/// elements follow is the caller's business.
class MsgpackWriter {
 public:
  explicit MsgpackWriter(std::string& out) noexcept : out_{out} {}

  void nil() { byte(0xc0); }
  void float64(double value) {
    byte(0xcb);
    big_endian(std::bit_cast<std::uint64_t>(value));
  }
  void uint(std::uint64_t value) {
    if (value < 0x80) {
      byte(static_cast<std::uint8_t>(value));
    } else {
      sized(value, 0xcc, 0xcd, 0xce, 0xcf);
    }
  }
  void text(std::string_view value) {
    if (value.size() < 32) {
      byte(static_cast<std::uint8_t>(0xa0U | value.size()));
    } else {
      sized(value.size(), 0xd9, 0xda, 0xdb, 0xdb);
    }
    out_ += value;
  }
  /// So many values follow.
  void array(std::size_t count) { container(count, 0x90, 0xdc); }
  /// So many pairs of key and value follow.
  void map(std::size_t count) { container(count, 0x80, 0xde); }

 private:
  void byte(std::uint8_t value) { out_ += static_cast<char>(value); }
  template <std::unsigned_integral Integer>
  void big_endian(Integer value) {
    for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8)
      byte(static_cast<std::uint8_t>(value >> static_cast<unsigned>(shift)));
  }
  /// `value` behind the tag of the smallest width that holds it.
  void sized(std::uint64_t value, std::uint8_t in8, std::uint8_t in16, std::uint8_t in32, std::uint8_t in64) {
    if (value <= UINT8_MAX) {
      byte(in8);
      big_endian(static_cast<std::uint8_t>(value));
    } else if (value <= UINT16_MAX) {
      byte(in16);
      big_endian(static_cast<std::uint16_t>(value));
    } else if (value <= UINT32_MAX) {
      byte(in32);
      big_endian(static_cast<std::uint32_t>(value));
    } else {
      byte(in64);
      big_endian(value);
    }
  }
  void container(std::size_t count, std::uint8_t small, std::uint8_t in16) {
    if (count < 16) {
      byte(static_cast<std::uint8_t>(small | count));
    } else if (count <= UINT16_MAX) {
      byte(in16);
      big_endian(static_cast<std::uint16_t>(count));
    } else {
      byte(static_cast<std::uint8_t>(in16 + 1));
      big_endian(static_cast<std::uint32_t>(count));
    }
  }

  std::string& out_;
};

}  // namespace llmd::kvevents
