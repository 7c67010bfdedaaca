#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

  /// The next field; nothing at the end. Error kProtocol: no protobuf message. After it nothing more is to be read.
  [[nodiscard]] Result<std::optional<Field>> next();
  /// What next() has not read yet, to know where in the message a field stands.
  [[nodiscard]] std::string_view rest() const noexcept { return left_; }

 private:
  [[nodiscard]] std::optional<std::uint64_t> varint() noexcept;

  std::string_view left_;
};

/// Writes protobuf fields one after the other.
class WireWriter {
 public:
  WireWriter& varint(std::uint32_t number, std::uint64_t value);
  WireWriter& bytes(std::uint32_t number, std::string_view value);
  /// The head of a bytes field whose `size` bytes follow from elsewhere.
  WireWriter& bytes_head(std::uint32_t number, std::size_t size);
  WireWriter& fixed64(std::uint32_t number, double value);

  [[nodiscard]] const std::string& text() const& noexcept { return text_; }
  [[nodiscard]] std::string text() && noexcept { return std::move(text_); }

 private:
  void put(std::uint64_t value);

  std::string text_;
};

}  // namespace llmd
