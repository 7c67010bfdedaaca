#include "api/openai/field.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "api/openai/limits.h"

namespace llmd::openai {
namespace {

constexpr std::size_t kParserKeptBytes = 1U << 20U;  // a parser that grew beyond this is not kept for the next request

struct ThreadParser {
  std::unique_ptr<simdjson::dom::parser> parser;
  std::string padded;

  simdjson::dom::parser& get(std::size_t bytes) {
    if (!parser || parser->capacity() > kParserKeptBytes) {
      parser = std::make_unique<simdjson::dom::parser>(kBodyBytesMax);
      if (padded.capacity() > kParserKeptBytes) padded = {};
      // A failure shows again as an error of parse().
      [[maybe_unused]] const auto status = parser->allocate(std::max<std::size_t>(bytes, 4'096), kJsonDepthMax);
    }
    return *parser;
  }
};

std::string range_text(NumberRange range) {
  if (range.min_excluded) return fmt::format("a number above {} and up to {}", range.min, range.max);
  return fmt::format("a number from {} to {}", range.min, range.max);
}

}  // namespace

Error field_error(std::string_view field, std::string_view got, std::string_view expected) {
  return Error{.code = ErrorCode::kInvalidRequest,
               .what = fmt::format("{} is {}; expected {}", field, got, expected),
               .param = std::string{field}};
}

std::unexpected<Error> unsupported_field(std::string_view field, std::string what, std::string hint) {
  return std::unexpected(Error{
      .code = ErrorCode::kUnsupported, .what = std::move(what), .hint = std::move(hint), .param = std::string{field}});
}

std::string describe(Element value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY: return "an array";
    case simdjson::dom::element_type::OBJECT: return "an object";
    case simdjson::dom::element_type::STRING: return "a string";
    case simdjson::dom::element_type::NULL_VALUE: return "null";
    default: return to_json(value);
  }
}

std::string quote(std::string_view text) {
  constexpr std::size_t kShown = 64;
  std::string out = "\"";
  for (const char byte : text.substr(0, kShown)) out += byte >= 0x20 && byte < 0x7F ? byte : '?';
  out += text.size() > kShown ? "...\"" : "\"";
  return out;
}

Result<float> read_number(std::string_view field, Element value, NumberRange range) {
  double number = 0;
  if (value.is_string() || value.get(number) != simdjson::SUCCESS)
    return bad_field(field, describe(value), range_text(range));
  const bool above = range.min_excluded ? number > range.min : number >= range.min;
  if (!above || number > range.max) return bad_field(field, describe(value), range_text(range));
  return static_cast<float>(number);
}

Result<std::int64_t> read_integer(std::string_view field, Element value, IntegerRange range) {
  const auto refuse = [&] {
    return bad_field(field, describe(value), fmt::format("an integer from {} to {}", range.min, range.max));
  };
  std::int64_t integer = 0;
  if (value.get(integer) != simdjson::SUCCESS) {
    double number = 0;
    constexpr double kExactMax = 9'007'199'254'740'992.0;  // 2^53: up to here a double is exact
    if (value.get(number) != simdjson::SUCCESS || std::trunc(number) != number || std::abs(number) > kExactMax)
      return refuse();
    integer = static_cast<std::int64_t>(number);
  }
  if (integer < range.min || integer > range.max) return refuse();
  return integer;
}

Result<bool> read_bool(std::string_view field, Element value) {
  bool flag = false;
  if (value.get(flag) != simdjson::SUCCESS) return bad_field(field, describe(value), "true or false");
  return flag;
}

Result<std::string_view> read_string(std::string_view field, Element value, std::size_t bytes_max) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return bad_field(field, describe(value), "a string");
  if (text.size() > bytes_max) {
    return bad_field(field, fmt::format("a string of {} bytes", text.size()),
                     fmt::format("at most {} bytes", bytes_max));
  }
  return text;
}

Result<Object> read_object(std::string_view field, Element value) {
  Object object;
  if (value.get(object) != simdjson::SUCCESS) return bad_field(field, describe(value), "an object");
  return object;
}

Result<Array> read_array(std::string_view field, Element value) {
  Array array;
  if (value.get(array) != simdjson::SUCCESS) return bad_field(field, describe(value), "an array");
  return array;
}

std::string to_json(Element value) { return simdjson::minify(value); }

Result<Object> parse_body(std::string_view body) {
  if (body.size() > kBodyBytesMax) {
    return fail(ErrorCode::kBodyTooLarge,
                fmt::format("the body has {} bytes; at most {} are read as JSON", body.size(), kBodyBytesMax));
  }
  if (body.empty()) return fail(ErrorCode::kInvalidJson, "the body is empty; expected a JSON object");
  thread_local ThreadParser thread_parser;
  simdjson::dom::parser& parser = thread_parser.get(body.size());
  std::string& padded = thread_parser.padded;
  padded.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  padded.assign(body);
  Element root;
  const simdjson::error_code status = parser.parse(padded.data(), padded.size(), false).get(root);
  if (status == simdjson::DEPTH_ERROR) {
    return fail(ErrorCode::kInvalidJson, fmt::format("the body nests deeper than {} levels", kJsonDepthMax - 1));
  }
  if (status == simdjson::MEMALLOC) return fail(ErrorCode::kBudgetExhausted, "no memory to parse the body");
  if (status != simdjson::SUCCESS) {
    return fail(ErrorCode::kInvalidJson,
                fmt::format("the body is not valid JSON: {}", simdjson::error_message(status)));
  }
  Object object;
  if (root.get(object) != simdjson::SUCCESS) {
    return fail(ErrorCode::kInvalidRequest, fmt::format("the body is {}; expected a JSON object", describe(root)));
  }
  return object;
}

}  // namespace llmd::openai
