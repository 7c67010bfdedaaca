#include "cel/arithmetic.h"

#include <cmath>
#include <limits>
#include <utility>

namespace llmd::cel {
namespace {

constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();

template <class T>
std::expected<T, EvaluationError> whole(char op, T a, T b) noexcept {
  T result = 0;
  bool overflow = false;
  switch (op) {
    case '+': overflow = __builtin_add_overflow(a, b, &result); break;
    case '-': overflow = __builtin_sub_overflow(a, b, &result); break;
    case '*': overflow = __builtin_mul_overflow(a, b, &result); break;
    default:
      if (b == 0) return std::unexpected(EvaluationError::kDivisionByZero);
      if constexpr (std::is_signed_v<T>) {
        if (a == kIntMin && b == -1) return std::unexpected(EvaluationError::kOverflow);
      }
      result = op == '/' ? a / b : a % b;
  }
  if (overflow) return std::unexpected(EvaluationError::kOverflow);
  return result;
}

double real(char op, double a, double b) noexcept {
  switch (op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    default: return a / b;
  }
}

/// A whole number against a double, exactly: through a double, 2^53 + 1 would equal 2^53.
template <class T>
std::partial_ordering compare_with_double(T a, double b) noexcept {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  // The first double above T's largest value and the smallest one: both are exact.
  constexpr double kAbove = std::is_signed_v<T> ? 0x1p63 : 0x1p64;
  constexpr auto kLowest = static_cast<double>(std::numeric_limits<T>::min());
  if (b >= kAbove) return std::partial_ordering::less;
  if (b < kLowest) return std::partial_ordering::greater;
  const double floor = std::floor(b);
  const auto order = a <=> static_cast<T>(floor);
  if (order != 0) return order;
  return b > floor ? std::partial_ordering::less : std::partial_ordering::equivalent;
}

std::partial_ordering reversed(std::partial_ordering order) noexcept {
  if (order == std::partial_ordering::less) return std::partial_ordering::greater;
  if (order == std::partial_ordering::greater) return std::partial_ordering::less;
  return order;
}

std::partial_ordering compare_int_uint(std::int64_t a, std::uint64_t b) noexcept {
  if (a < 0) return std::partial_ordering::less;
  return static_cast<std::uint64_t>(a) <=> b;
}

}  // namespace

std::string_view type_name(Type type) noexcept {
  switch (type) {
    case Type::kBool: return "bool";
    case Type::kInt: return "int";
    case Type::kUint: return "uint";
    case Type::kDouble: return "double";
    case Type::kString: return "string";
    case Type::kNumber: return "number";
  }
  return "?";
}

std::string_view evaluation_error_text(EvaluationError error) noexcept {
  switch (error) {
    case EvaluationError::kNoSuchField: return "no such field";
    case EvaluationError::kOverflow: return "beyond 64 bits";
    case EvaluationError::kDivisionByZero: return "division by zero";
    case EvaluationError::kNoOrder: return "not a number, which has no order";
  }
  return "?";
}

Outcome arithmetic(char op, const Value& a, const Value& b) noexcept {
  if (a.type() == Type::kDouble) return Value::of_double(real(op, a.as_double(), b.as_double()));
  if (a.type() == Type::kUint) {
    const auto result = whole(op, a.as_uint(), b.as_uint());
    if (!result) return std::unexpected(result.error());
    return Value::of_uint(*result);
  }
  const auto result = whole(op, a.as_int(), b.as_int());
  if (!result) return std::unexpected(result.error());
  return Value::of_int(*result);
}

Outcome negated(const Value& a) noexcept {
  if (a.type() == Type::kDouble) return Value::of_double(-a.as_double());
  if (a.as_int() == kIntMin) return std::unexpected(EvaluationError::kOverflow);
  return Value::of_int(-a.as_int());
}

std::partial_ordering compare(const Value& a, const Value& b) noexcept {
  const auto pair = std::pair{a.type(), b.type()};
  if (pair == std::pair{Type::kInt, Type::kUint}) return compare_int_uint(a.as_int(), b.as_uint());
  if (pair == std::pair{Type::kUint, Type::kInt}) return reversed(compare_int_uint(b.as_int(), a.as_uint()));
  if (pair == std::pair{Type::kInt, Type::kDouble}) return compare_with_double(a.as_int(), b.as_double());
  if (pair == std::pair{Type::kDouble, Type::kInt}) return reversed(compare_with_double(b.as_int(), a.as_double()));
  if (pair == std::pair{Type::kUint, Type::kDouble}) return compare_with_double(a.as_uint(), b.as_double());
  if (pair == std::pair{Type::kDouble, Type::kUint}) return reversed(compare_with_double(b.as_uint(), a.as_double()));
  switch (a.type()) {
    case Type::kBool: return a.as_bool() <=> b.as_bool();
    case Type::kUint: return a.as_uint() <=> b.as_uint();
    case Type::kDouble: return a.as_double() <=> b.as_double();
    case Type::kString: return a.as_string() <=> b.as_string();
    case Type::kInt:
    case Type::kNumber: break;
  }
  return a.as_int() <=> b.as_int();
}

}  // namespace llmd::cel
