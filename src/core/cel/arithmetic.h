#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <string_view>

#include "cel/value.h"

namespace llmd::cel {

/// Why an expression has no value for what it was given.
enum class EvaluationError : std::uint8_t {
  kNoSuchField,     // it reads a field that is not there
  kOverflow,        // beyond 64 bits
  kDivisionByZero,  // of whole numbers; doubles become infinite
  kNoOrder,         // < and its like with what is not a number (NaN); == is false
};

[[nodiscard]] std::string_view evaluation_error_text(EvaluationError error) noexcept;

using Outcome = std::expected<Value, EvaluationError>;

/// Computes a op b. Pre: op is one of + - * / %; both are of one type, kInt, kUint or kDouble (not with %).
[[nodiscard]] Outcome arithmetic(char op, const Value& a, const Value& b) noexcept;

/// -a. Pre: kInt or kDouble.
[[nodiscard]] Outcome negated(const Value& a) noexcept;

/// How a stands to b, numbers of different types by their exact values; unordered if one is not a number (NaN). Text by
/// code points, false before true. Pre: both are numbers, or of one type.
[[nodiscard]] std::partial_ordering compare(const Value& a, const Value& b) noexcept;

}  // namespace llmd::cel
