#include "base/protobuf_wire.h"

#include <bit>
#include <cstring>

namespace llmd {

std::optional<std::uint64_t> WireReader::varint() noexcept {
  constexpr std::size_t kBytesMax = 10;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kBytesMax && i < left_.size(); ++i) {
    const auto byte = static_cast<unsigned char>(left_[i]);
    value |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80) != 0) continue;
    left_.remove_prefix(i + 1);
    return value;
  }
  return {};
}

Result<std::optional<WireReader::Field>> WireReader::next() {
  if (left_.empty()) return std::optional<Field>{};
  const auto wrong = [] { return fail(ErrorCode::kProtocol, "the bytes are no protobuf message"); };
  const auto tag = varint();
  if (!tag || *tag >> 3 == 0 || *tag >> 32 != 0) return wrong();
  Field field{.number = static_cast<std::uint32_t>(*tag >> 3)};
  const auto fixed = [&](std::size_t size) {
    if (left_.size() < size) return false;
    static_assert(std::endian::native == std::endian::little);
    std::memcpy(&field.value, left_.data(), size);
    left_.remove_prefix(size);
    return true;
  };
  switch (*tag & 7) {
    case 0: {
      const auto value = varint();
      if (!value) return wrong();
      field.value = *value;
      break;
    }
    case 1:
      field.type = Type::kFixed64;
      if (!fixed(8)) return wrong();
      break;
    case 2: {
      field.type = Type::kBytes;
      const auto size = varint();
      if (!size || *size > left_.size()) return wrong();
      field.bytes = left_.substr(0, *size);
      left_.remove_prefix(*size);
      break;
    }
    case 5:
      field.type = Type::kFixed32;
      if (!fixed(4)) return wrong();
      break;
    default: return wrong();  // groups are of proto2
  }
  return std::optional<Field>{field};
}

void WireWriter::put(std::uint64_t value) {
  while (value >= 0x80) {
    text_ += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  text_ += static_cast<char>(value);
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
  put(std::uint64_t{number} << 3 | 1);
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i) text_ += static_cast<char>(bits >> (8 * i) & 0xff);
  return *this;
}

}  // namespace llmd
