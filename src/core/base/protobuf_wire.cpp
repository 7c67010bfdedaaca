#include "base/protobuf_wire.h"

#include <bit>
#include <cstring>

namespace llmd {

bool WireReader::varint(std::uint64_t& value) noexcept {
  constexpr std::size_t kBytesMax = 10;
  value = 0;
  for (std::size_t i = 0; i < kBytesMax && i < left_.size(); ++i) {
    const auto byte = static_cast<unsigned char>(left_[i]);
    value |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80) != 0) continue;
    left_.remove_prefix(i + 1);
    return true;
  }
  return false;
}

bool WireReader::next(Field& field) noexcept {
  if (left_.empty() || broken_) return false;
  std::uint64_t tag = 0;
  broken_ = !varint(tag) || tag >> 3 == 0 || tag >> 32 != 0;
  if (broken_) return false;
  field = {.number = static_cast<std::uint32_t>(tag >> 3)};
  broken_ = !value_of(field, tag & 7);
  return !broken_;
}

bool WireReader::value_of(Field& field, std::uint64_t type) noexcept {
  const auto fixed = [&](std::size_t size) {
    if (left_.size() < size) return false;
    static_assert(std::endian::native == std::endian::little);
    std::memcpy(&field.value, left_.data(), size);
    left_.remove_prefix(size);
    return true;
  };
  switch (type) {
    case 0: return varint(field.value);
    case 1: field.type = Type::kFixed64; return fixed(8);
    case 2: {
      field.type = Type::kBytes;
      std::uint64_t size = 0;
      if (!varint(size) || size > left_.size()) return false;
      field.bytes = left_.substr(0, size);
      left_.remove_prefix(size);
      return true;
    }
    case 5: field.type = Type::kFixed32; return fixed(4);
    default: return false;  // groups are of proto2
  }
}

Result<void> WireReader::whole() const {
  if (broken_) return fail(ErrorCode::kProtocol, "the bytes are no protobuf message");
  return {};
}

std::size_t WireWriter::field_size(std::size_t size) noexcept {
  std::size_t bytes = 2 + size;
  for (std::size_t rest = size; rest >= 0x80; rest >>= 7) ++bytes;
  return bytes;
}

void WireWriter::put(std::uint64_t value) {
  char bytes[10];
  std::size_t size = 0;
  for (; value >= 0x80; value >>= 7) bytes[size++] = static_cast<char>(value | 0x80);
  bytes[size++] = static_cast<char>(value);
  text_.append(bytes, size);
}

WireWriter& WireWriter::varint(std::uint32_t number, std::uint64_t value) {
  put(std::uint64_t{number} << 3);
  put(value);
  return *this;
}

WireWriter& WireWriter::bytes_head(std::uint32_t number, std::size_t size) {
  put(std::uint64_t{number} << 3 | 2);
  put(size);
  return *this;
}

WireWriter& WireWriter::bytes(std::uint32_t number, std::string_view value) {
  bytes_head(number, value.size());
  text_ += value;
  return *this;
}

WireWriter& WireWriter::fixed64(std::uint32_t number, double value) {
  return fixed64(number, std::bit_cast<std::uint64_t>(value));
}

WireWriter& WireWriter::fixed64(std::uint32_t number, std::uint64_t value) {
  put(std::uint64_t{number} << 3 | 1);
  for (int i = 0; i < 8; ++i) text_ += static_cast<char>(value >> (8 * i) & 0xff);
  return *this;
}

}  // namespace llmd
