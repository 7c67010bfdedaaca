#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/error.h"

namespace llmd::llamacpp {

/// A set of JSON Schema's types. A number is an integer too.
class SchemaTypes {
 public:
  static constexpr std::array<std::string_view, 7> kNames{"null",   "boolean", "integer", "number",
                                                          "string", "array",   "object"};
  static constexpr SchemaTypes all() noexcept { return SchemaTypes{(1U << kNames.size()) - 1}; }
  static constexpr SchemaTypes none() noexcept { return SchemaTypes{0}; }
  /// Pre: `name` is one of kNames.
  static SchemaTypes of(std::string_view name) noexcept;

  [[nodiscard]] bool empty() const noexcept { return bits_ == 0; }
  [[nodiscard]] bool holds(SchemaTypes other) const noexcept { return (bits_ & other.bits_) == other.bits_; }
  [[nodiscard]] SchemaTypes with(SchemaTypes other) const noexcept { return SchemaTypes{bits_ | other.bits_}; }
  [[nodiscard]] SchemaTypes without(SchemaTypes other) const noexcept { return SchemaTypes{bits_ & ~other.bits_}; }
  [[nodiscard]] SchemaTypes common(SchemaTypes other) const noexcept { return SchemaTypes{bits_ & other.bits_}; }
  /// As the keyword `type` says it: a name, or several. Pre: !empty().
  [[nodiscard]] nlohmann::ordered_json to_json() const;

  friend bool operator==(SchemaTypes, SchemaTypes) = default;

 private:
  explicit constexpr SchemaTypes(std::uint32_t bits) noexcept : bits_{bits} {}
  std::uint32_t bits_;
};

/// What a schema's keyword `type` says; all without one. Error kInvalidGrammar: it is none.
[[nodiscard]] Result<SchemaTypes> schema_types(const nlohmann::ordered_json& schema);

/// Draft 4 has `true` for an exclusive bound, beside the bound: writes it as later drafts do.
void write_exclusive_bounds_as_numbers(nlohmann::ordered_json& schema);

/// Whether a value is of the schema's types and within the bounds of numbers and lengths that it gives; other
/// keywords are not looked at. Pre: `types` are the schema's; exclusive bounds are numbers.
[[nodiscard]] bool fits_bounds(const nlohmann::ordered_json& value, SchemaTypes types,
                               const nlohmann::ordered_json& schema);

/// Pre: exclusive bounds are numbers. Writes an integer schema's four bounds as `minimum` and `maximum`, each where it
/// has one, so that the converter keeps them. False: no integer lies between. Error kInvalidGrammar: only integers
/// beyond 64 bits do.
[[nodiscard]] Result<bool> order_integer_bounds(nlohmann::ordered_json& schema);

/// The same for two lengths ("minLength" and "maxLength", or "minItems" and "maxItems"); an upper one that no answer
/// reaches is dropped.
[[nodiscard]] Result<bool> order_lengths(nlohmann::ordered_json& schema, const char* least, const char* most);

}  // namespace llmd::llamacpp
