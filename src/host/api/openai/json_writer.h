#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llmd::openai {

/// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so the output is always
/// valid. About 1 GB/s on ASCII.
void append_json_string(std::string& out, std::string_view text);

/// Appends the shortest text that reads back as the same float; what JSON cannot say (infinite, NaN) becomes -9999 as
/// in vLLM.
void append_json_number(std::string& out, float value);

/// Appends JSON to a string that the caller owns, and puts the commas. It does not check that brackets pair.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) noexcept : out_{out} {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  /// Pre: `name` needs no escape.
  JsonWriter& key(std::string_view name);
  /// A key that came from outside.
  JsonWriter& escaped_key(std::string_view name);
  JsonWriter& string(std::string_view text);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& number(float value);
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  /// A value that is JSON already.
  JsonWriter& raw(std::string_view json);

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void comma() {
    if (needs_comma_) out_ += ',';
  }

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace llmd::openai
