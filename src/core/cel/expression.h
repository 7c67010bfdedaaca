#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cel/arithmetic.h"
#include "cel/value.h"

namespace llmd::cel {

inline constexpr std::size_t kTextBytesMax = 4'096;  // of an expression
inline constexpr std::size_t kNodesMax = 512;        // values and operators of an expression
inline constexpr std::size_t kNestingMax = 64;       // brackets within brackets, conditions within conditions

/// A compiled expression of the part of CEL (Common Expression Language) that README.md lists. Immutable.
class Expression {
 public:
  /// Reads, checks and compiles; `schema` is not kept. Whatever can go wrong but for values is found here. Error
  /// kConfigInvalid: not CEL, a part of CEL that is not here, types that do not go together, or a limit above; `what`
  /// begins with line and column.
  [[nodiscard]] static Result<Expression> compile(std::string_view text, Schema schema);

  [[nodiscard]] Type type() const noexcept;
  /// Paths that the expression reads and the schema does not have, as written. has() of them is false, and to read one
  /// is kNoSuchField, as in CEL with a map.
  [[nodiscard]] const std::vector<std::string>& unknown_fields() const noexcept { return unknown_; }

  /// The value for what is there. A text of it is valid as long as expression and fields. Pre: `fields` is of the
  /// schema that the expression was compiled with. O(operators), no allocation.
  [[nodiscard]] Outcome evaluate(Fields fields) const noexcept;

  enum class Op : std::uint8_t {
    kLiteral,    // bits, or the text [a, a + b) of strings_
    kField,      // field a
    kHas,        // of a record that is there if one of the fields [a, b) is: whether one of [bits, bits + c) is
    kCondition,  // a ? b : c
    kAnd,        // a && b
    kOr,
    kNot,       // of a
    kNegate,    // of a
    kToDouble,  // of a, an int
    kAdd,       // a + b
    kSubtract,
    kMultiply,
    kDivide,
    kModulo,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kEqual,
    kNotEqual,
  };
  static constexpr std::uint32_t kNothing = std::numeric_limits<std::uint32_t>::max();  // no field, no record
  struct Node {
    Op op = Op::kLiteral;
    Type type = Type::kBool;  // of its value
    std::uint32_t a = 0;      // an earlier node, unless Op says otherwise; likewise b and c
    std::uint32_t b = 0;
    std::uint32_t c = 0;
    std::uint64_t bits = 0;
  };

 private:
  friend class Compiler;
  Expression() = default;

  std::vector<Node> nodes_;  // operands before operators; the last is the whole
  std::string strings_;
  std::vector<std::string> unknown_;
};

}  // namespace llmd::cel
