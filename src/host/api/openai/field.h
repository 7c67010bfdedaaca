#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

/// Typed reading of JSON fields with errors that name field, value and allowed range. Internal to api/openai: it shows
/// simdjson.
namespace llmd::openai {

using Element = simdjson::dom::element;
using Object = simdjson::dom::object;
using Array = simdjson::dom::array;

/// "`field` is `got`; expected `expected`", with `param` set. Pre: no prompt text in `got`.
[[nodiscard]] Error field_error(std::string_view field, std::string_view got, std::string_view expected);
[[nodiscard]] inline std::unexpected<Error> bad_field(std::string_view field, std::string_view got,
                                                      std::string_view expected) {
  return std::unexpected(field_error(field, got, expected));
}
/// The same for what is understood but cannot be done here (kUnsupported).
[[nodiscard]] std::unexpected<Error> unsupported_field(std::string_view field, std::string what, std::string hint = {});

/// How a value is named in an error: numbers and booleans by value, all else by type, so that no prompt text leaks.
[[nodiscard]] std::string describe(Element value);
/// A short quoted form of a string that stands for a choice ("auto"), cut at 64 bytes and made printable.
[[nodiscard]] std::string quote(std::string_view text);

struct NumberRange {
  double min = 0;
  double max = 0;
  bool min_excluded = false;
};
struct IntegerRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
};

[[nodiscard]] Result<float> read_number(std::string_view field, Element value, NumberRange range);
/// A whole number written as a decimal (3.0) counts.
[[nodiscard]] Result<std::int64_t> read_integer(std::string_view field, Element value, IntegerRange range);
[[nodiscard]] Result<bool> read_bool(std::string_view field, Element value);
/// The view is valid while the document is.
[[nodiscard]] Result<std::string_view> read_string(std::string_view field, Element value, std::size_t bytes_max);
[[nodiscard]] Result<Object> read_object(std::string_view field, Element value);
[[nodiscard]] Result<Array> read_array(std::string_view field, Element value);
/// The value's JSON without white space.
[[nodiscard]] std::string to_json(Element value);

/// Sets `target` to what `result` holds, or hands on its error.
template <class Target, class Value>
Result<void> assign(Target& target, Result<Value> result) {
  if (!result) return std::unexpected(std::move(result).error());
  target = static_cast<Target>(*std::move(result));
  return {};
}

/// What to do with one field of a request.
template <class Request>
struct FieldRule {
  std::string_view name;
  Result<void> (*read)(Request& request, std::string_view field, Element value);
};

/// One parsed body. Lives in a parser of the calling thread: one at a time a thread, gone when the next is parsed.
/// Errors: kInvalidJson (with the byte limits in `what` where they are the reason), kInvalidRequest if it is not an
/// object.
[[nodiscard]] Result<Object> parse_body(std::string_view body);

}  // namespace llmd::openai
