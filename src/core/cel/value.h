#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace llmd::cel {

/// What an expression or a field is of.
enum class Type : std::uint8_t {
  kBool,
  kInt,     // 64 bits, signed
  kUint,    // 64 bits, unsigned
  kDouble,  // IEEE 754, 64 bits
  kString,
  /// A whole number out of JSON, where CEL sees a number that goes with doubles. Held as an int and computed as one, it
  /// goes with both: with an int it is an int, with a double a double, and by another kNumber it is divided as a
  /// double.
  kNumber,
};

[[nodiscard]] std::string_view type_name(Type type) noexcept;

/// What evaluation gives, and what a field holds. A kNumber has the type kInt here.
class Value {
 public:
  constexpr Value() noexcept : type_{Type::kBool}, bool_{false} {}
  [[nodiscard]] static constexpr Value of_bool(bool value) noexcept {
    Value made;
    made.bool_ = value;
    return made;
  }
  [[nodiscard]] static constexpr Value of_int(std::int64_t value) noexcept {
    Value made;
    made.type_ = Type::kInt;
    made.int_ = value;
    return made;
  }
  [[nodiscard]] static constexpr Value of_uint(std::uint64_t value) noexcept {
    Value made;
    made.type_ = Type::kUint;
    made.uint_ = value;
    return made;
  }
  [[nodiscard]] static constexpr Value of_double(double value) noexcept {
    Value made;
    made.type_ = Type::kDouble;
    made.double_ = value;
    return made;
  }
  /// Pre: the text outlives the value.
  [[nodiscard]] static constexpr Value of_string(std::string_view value) noexcept {
    Value made;
    made.type_ = Type::kString;
    made.string_ = value;
    return made;
  }

  [[nodiscard]] constexpr Type type() const noexcept { return type_; }
  // Pre of each: type() is that.
  [[nodiscard]] constexpr bool as_bool() const noexcept { return bool_; }
  [[nodiscard]] constexpr std::int64_t as_int() const noexcept { return int_; }
  [[nodiscard]] constexpr std::uint64_t as_uint() const noexcept { return uint_; }
  [[nodiscard]] constexpr double as_double() const noexcept { return double_; }
  [[nodiscard]] constexpr std::string_view as_string() const noexcept { return string_; }

 private:
  Type type_;
  union {
    bool bool_;
    std::int64_t int_;
    std::uint64_t uint_;
    double double_;
    std::string_view string_;
  };
};

/// A field that expressions may name. Its path has at least two names: "usage.prompt_tokens"; what stands before the
/// last dot is a record, and the first name is a variable.
struct FieldSpec {
  std::string_view path;
  Type type = Type::kInt;
};

/// Fields that may be there. Pre: the fields of one record stand together.
using Schema = std::span<const FieldSpec>;

/// What is there: one element for each field of the Schema, of its type (kInt for kNumber). A record is there if one of
/// its fields is; a variable always.
using Fields = std::span<const std::optional<Value>>;

}  // namespace llmd::cel
