#include "api/openai/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "base/utf8.h"

namespace llmd::openai {
namespace {

/// Bytes that stand for themselves inside a JSON string: printable ASCII but the quote and the backslash.
constexpr std::array<bool, 256> make_plain_table() {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0x20; byte < 0x80; ++byte) table[byte] = byte != '"' && byte != '\\';
  return table;
}
constexpr std::array<bool, 256> kPlain = make_plain_table();

void append_escape(std::string& out, char byte) {
  switch (byte) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  out += "\\u00";
  out += kHex[value >> 4U];
  out += kHex[value & 0xFU];
}

template <class T>
void append_chars(std::string& out, T value) {
  std::array<char, 40> buffer{};
  const auto [end, status] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), end);
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t run_start = 0;
  std::size_t index = 0;
  const auto flush = [&] { out.append(text.substr(run_start, index - run_start)); };
  while (index < text.size()) {
    const auto byte = static_cast<unsigned char>(text[index]);
    if (kPlain[byte]) {
      ++index;
      continue;
    }
    if (byte >= 0x80) {
      const std::size_t length = utf8_character_bytes(text.substr(index));
      if (length > 0) {
        index += length;
        continue;
      }
      flush();
      out += "\xEF\xBF\xBD";
    } else {
      flush();
      append_escape(out, text[index]);
    }
    run_start = ++index;
  }
  flush();
  out += '"';
}

void append_json_number(std::string& out, float value) { append_chars(out, std::isfinite(value) ? value : -9999.0F); }

JsonWriter& JsonWriter::key(std::string_view name) {
  comma();
  out_ += '"';
  out_ += name;
  out_ += "\":";
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::escaped_key(std::string_view name) {
  comma();
  append_json_string(out_, name);
  out_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  comma();
  append_json_string(out_, text);
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t value) {
  comma();
  append_chars(out_, value);
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::number(float value) {
  comma();
  append_json_number(out_, value);
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  comma();
  out_ += json;
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::open(char bracket) {
  comma();
  out_ += bracket;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  needs_comma_ = true;
  return *this;
}

}  // namespace llmd::openai
