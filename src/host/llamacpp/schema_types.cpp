#include "llamacpp/schema_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/utf8.h"
#include "llamacpp/input_limits.h"
#include "llamacpp/schema_refusal.h"

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

SchemaTypes type_of(const Json& value) {
  if (value.is_null()) return SchemaTypes::of("null");
  if (value.is_boolean()) return SchemaTypes::of("boolean");
  if (value.is_number_integer()) return SchemaTypes::of("integer");
  if (value.is_number()) {
    const bool whole = std::floor(value.get<double>()) == value.get<double>();
    return whole ? SchemaTypes::of("integer") : SchemaTypes::of("number").without(SchemaTypes::of("integer"));
  }
  if (value.is_string()) return SchemaTypes::of("string");
  return value.is_array() ? SchemaTypes::of("array") : SchemaTypes::of("object");
}

struct Bound {
  long double value;
  bool exclusive;
};

/// Of two keywords, one of which is exclusive. `sign`: 1 for the largest lower bound, -1 for the smallest upper bound.
Bound bound(const Json& schema, const char* inclusive, const char* exclusive, int sign) {
  Bound found{-std::numeric_limits<long double>::infinity(), false};
  const auto plain = schema.find(inclusive);
  const auto strict = schema.find(exclusive);
  if (plain != schema.end() && plain->is_number()) found = {sign * plain->get<long double>(), false};
  if (strict != schema.end() && strict->is_number()) {
    const long double value = sign * strict->get<long double>();
    if (value >= found.value) found = {value, true};
  }
  return {sign * found.value, found.exclusive};
}

Bound lower_bound(const Json& schema) { return bound(schema, "minimum", "exclusiveMinimum", 1); }
Bound upper_bound(const Json& schema) { return bound(schema, "maximum", "exclusiveMaximum", -1); }

bool within(const Json& schema, const char* least, const char* most, std::size_t size) {
  const auto low = schema.find(least);
  const auto high = schema.find(most);
  const auto length = static_cast<double>(size);
  return (low == schema.end() || !low->is_number() || length >= low->get<double>()) &&
         (high == schema.end() || !high->is_number() || length <= high->get<double>());
}

}  // namespace

SchemaTypes SchemaTypes::of(std::string_view name) noexcept {
  const auto at = static_cast<std::uint32_t>(std::find(kNames.begin(), kNames.end(), name) - kNames.begin());
  return name == "number" ? SchemaTypes{3U << (at - 1)} : SchemaTypes{1U << at};
}

Json SchemaTypes::to_json() const {
  Json names = Json::array();
  for (const std::string_view name : kNames) {
    const bool said_by_number = name == "integer" && holds(of("number"));
    if (holds(of(name)) && !said_by_number) names.push_back(name);
  }
  return names.size() == 1 ? names.front() : names;
}

Result<SchemaTypes> schema_types(const Json& schema) {
  const auto type = schema.find("type");
  if (type == schema.end()) return SchemaTypes::all();
  SchemaTypes types = SchemaTypes::none();
  const Json list = type->is_array() ? *type : Json::array({*type});
  if (list.empty()) return refuse_schema("type must not be empty");
  for (const Json& name : list) {
    if (!name.is_string()) return refuse_schema("type must be a string or an array of strings");
    const auto& text = name.get_ref<const std::string&>();
    if (std::find(SchemaTypes::kNames.begin(), SchemaTypes::kNames.end(), text) == SchemaTypes::kNames.end())
      return refuse_schema(fmt::format("unrecognized type {}", text));
    types = types.with(SchemaTypes::of(text));
  }
  return types;
}

bool fits_bounds(const Json& value, SchemaTypes types, const Json& schema) {
  if (!types.holds(type_of(value))) return false;
  if (value.is_string())
    return within(schema, "minLength", "maxLength", code_points(value.get_ref<const std::string&>()));
  if (value.is_array()) return within(schema, "minItems", "maxItems", value.size());
  if (!value.is_number()) return true;
  const auto number = value.get<long double>();
  const Bound low = lower_bound(schema);
  const Bound high = upper_bound(schema);
  return (low.exclusive ? number > low.value : number >= low.value) &&
         (high.exclusive ? number < high.value : number <= high.value);
}

void write_exclusive_bounds_as_numbers(Json& schema) {
  for (const auto& [inclusive, exclusive] :
       {std::pair{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}}) {
    const auto strict = schema.find(exclusive);
    if (strict == schema.end() || !strict->is_boolean()) continue;
    const bool holds = *strict == true && schema.contains(inclusive);
    const Json bound = holds ? schema.at(inclusive) : Json();
    schema.erase(exclusive);
    if (!holds) continue;
    schema.erase(inclusive);
    schema[exclusive] = bound;
  }
}

Result<bool> order_integer_bounds(Json& schema) {
  // With one bound only the converter's digits run out beyond kWide, and it loses zeros of a larger minimum and lets
  // them lead below zero: there it gets two.
  constexpr std::int64_t kWide = 999'999'999'999'999;
  constexpr std::int64_t kWidest = std::numeric_limits<std::int64_t>::max() - 1;
  const Bound low = lower_bound(schema);
  const Bound high = upper_bound(schema);
  long double first = low.exclusive ? std::floor(low.value) + 1 : std::ceil(low.value);
  long double last = high.exclusive ? std::ceil(high.value) - 1 : std::floor(high.value);
  if (first > last) return false;
  if (first > kWidest || last < -kWidest) return refuse_schema("an integer's bounds are beyond 64 bits");
  const bool has_first = first >= -kWidest;
  const bool has_last = last <= kWidest;
  for (const char* key : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) schema.erase(key);
  if (has_first) schema["minimum"] = static_cast<std::int64_t>(first);
  if (has_last) schema["maximum"] = static_cast<std::int64_t>(last);
  if (has_first && !has_last && first > 9) schema["maximum"] = first > kWide ? kWidest : kWide;
  if (has_last && !has_first && last < 0) schema["minimum"] = last < -kWide ? -kWidest : -kWide;
  return true;
}

Result<bool> order_lengths(Json& schema, const char* least, const char* most) {
  for (const char* key : {least, most}) {
    const auto length = schema.find(key);
    if (length != schema.end() && !length->is_number_unsigned())
      return refuse_schema(fmt::format("{} must be a non-negative integer", key));
  }
  const std::uint64_t low = schema.value(least, std::uint64_t{0});
  if (low > kGrammarElementsMax) return refuse_schema(fmt::format("{} is above {}", least, kGrammarElementsMax));
  const std::uint64_t high = schema.value(most, std::numeric_limits<std::uint64_t>::max());
  if (high > kGrammarElementsMax) schema.erase(most);
  return low <= high;
}

}  // namespace llmd::llamacpp
