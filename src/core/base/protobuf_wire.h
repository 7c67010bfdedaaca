#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace llmd {

/// Reads the fields of one protobuf message from its bytes, in their order, without a schema
/// (protobuf.dev/programming-guides/encoding). Unknown fields are passed over by not asking for their value. The bytes
/// must outlive what is read.
class WireReader {
 public:
  enum class Type : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  struct Field {
    std::uint32_t number = 0;
    Type type = Type::kVarint;
    std::uint64_t value = 0;   // of numbers
    std::string_view bytes{};  // of strings, bytes and messages
  };

  explicit WireReader(std::string_view message) noexcept : left_{message} {}

  /// Reads the next field. False at the end, and where the bytes are no protobuf message, which broken() tells apart.
  [[nodiscard]] bool next(Field& field) noexcept;
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// The same as an error, kProtocol.
  [[nodiscard]] Result<void> whole() const;
  /// What next() has not read yet, to know where in the message a field stands.
  [[nodiscard]] std::string_view rest() const noexcept { return left_; }

 private:
  [[nodiscard]] bool varint(std::uint64_t& value) noexcept;
  [[nodiscard]] bool value_of(Field& field, std::uint64_t type) noexcept;

  std::string_view left_;
  bool broken_ = false;
};

/// Writes protobuf fields one after the other.
class WireWriter {
 public:
  /// The bytes that a bytes field of this size takes, tag and all; its number must be below 16.
  [[nodiscard]] static std::size_t field_size(std::size_t size) noexcept;

  WireWriter& reserve(std::size_t bytes) {
    text_.reserve(bytes);
    return *this;
  }
  WireWriter& varint(std::uint32_t number, std::uint64_t value);
  WireWriter& bytes(std::uint32_t number, std::string_view value);
  /// The head of a bytes field whose `size` bytes follow from elsewhere.
  WireWriter& bytes_head(std::uint32_t number, std::size_t size);
  WireWriter& fixed64(std::uint32_t number, double value);
  WireWriter& fixed64(std::uint32_t number, std::uint64_t value);

  [[nodiscard]] const std::string& text() const& noexcept { return text_; }
  [[nodiscard]] std::string text() && noexcept { return std::move(text_); }

 private:
  void put(std::uint64_t value);

  std::string text_;
};

}  // namespace llmd
