#include "cel/expression.h"

#include <algorithm>
#include <bit>
#include <compare>

namespace llmd::cel {
namespace {

using Op = Expression::Op;
using Node = Expression::Node;

Outcome compared(Op op, std::partial_ordering order) noexcept {
  if (op == Op::kEqual) return Value::of_bool(order == 0);
  if (op == Op::kNotEqual) return Value::of_bool(order != 0);
  if (order == std::partial_ordering::unordered) return std::unexpected(EvaluationError::kNoOrder);
  if (op == Op::kLess) return Value::of_bool(order < 0);
  if (op == Op::kLessEqual) return Value::of_bool(order <= 0);
  return Value::of_bool(op == Op::kGreater ? order > 0 : order >= 0);
}

/// One evaluation: a walk down the tree, at most kNodesMax deep.
class Evaluator {
 public:
  Evaluator(std::span<const Node> nodes, std::string_view strings, Fields fields) noexcept
      : nodes_{nodes}, strings_{strings}, fields_{fields} {}
  Outcome value_of(std::uint32_t index) const noexcept;

 private:
  Value literal(const Node& node) const noexcept;
  Outcome has(const Node& node) const noexcept;
  Outcome logic(const Node& node) const noexcept;
  Outcome condition(const Node& node) const noexcept;
  Outcome unary(const Node& node) const noexcept;
  Outcome binary(const Node& node) const noexcept;
  [[nodiscard]] bool any(std::size_t first, std::size_t end) const noexcept {
    return std::any_of(fields_.begin() + static_cast<std::ptrdiff_t>(first),
                       fields_.begin() + static_cast<std::ptrdiff_t>(end),
                       [](const auto& field) { return field.has_value(); });
  }

  std::span<const Node> nodes_;
  std::string_view strings_;
  Fields fields_;
};

Value Evaluator::literal(const Node& node) const noexcept {
  switch (node.type) {
    case Type::kBool: return Value::of_bool(node.bits != 0);
    case Type::kUint: return Value::of_uint(node.bits);
    case Type::kDouble: return Value::of_double(std::bit_cast<double>(node.bits));
    case Type::kString: return Value::of_string(strings_.substr(node.a, node.b));
    case Type::kInt:
    case Type::kNumber: break;
  }
  return Value::of_int(static_cast<std::int64_t>(node.bits));
}

Outcome Evaluator::has(const Node& node) const noexcept {
  if (node.a != Expression::kNothing && !any(node.a, node.b)) return std::unexpected(EvaluationError::kNoSuchField);
  return Value::of_bool(any(node.bits, node.bits + node.c));
}

// An error on one side does not count if the other side decides, whichever side it is.
Outcome Evaluator::logic(const Node& node) const noexcept {
  const bool decisive = node.op == Op::kOr;
  const Outcome left = value_of(node.a);
  if (left && left->as_bool() == decisive) return left;
  const Outcome right = value_of(node.b);
  if (right && right->as_bool() == decisive) return right;
  return left ? right : left;
}

Outcome Evaluator::condition(const Node& node) const noexcept {
  const Outcome chosen = value_of(node.a);
  if (!chosen) return chosen;
  return value_of(chosen->as_bool() ? node.b : node.c);
}

Outcome Evaluator::unary(const Node& node) const noexcept {
  const Outcome operand = value_of(node.a);
  if (!operand) return operand;
  if (node.op == Op::kNot) return Value::of_bool(!operand->as_bool());
  if (node.op == Op::kNegate) return negated(*operand);
  return Value::of_double(static_cast<double>(operand->as_int()));
}

Outcome Evaluator::binary(const Node& node) const noexcept {
  const Outcome left = value_of(node.a);
  if (!left) return left;
  const Outcome right = value_of(node.b);
  if (!right) return right;
  if (node.op >= Op::kLess) return compared(node.op, compare(*left, *right));
  switch (node.op) {
    case Op::kAdd: return arithmetic('+', *left, *right);
    case Op::kSubtract: return arithmetic('-', *left, *right);
    case Op::kMultiply: return arithmetic('*', *left, *right);
    case Op::kDivide: return arithmetic('/', *left, *right);
    default: return arithmetic('%', *left, *right);
  }
}

Outcome Evaluator::value_of(std::uint32_t index) const noexcept {
  const Node& node = nodes_[index];
  switch (node.op) {
    case Op::kLiteral: return literal(node);
    case Op::kField:
      if (node.a == Expression::kNothing || !fields_[node.a]) return std::unexpected(EvaluationError::kNoSuchField);
      return *fields_[node.a];
    case Op::kHas: return has(node);
    case Op::kCondition: return condition(node);
    case Op::kAnd:
    case Op::kOr: return logic(node);
    case Op::kNot:
    case Op::kNegate:
    case Op::kToDouble: return unary(node);
    default: return binary(node);
  }
}

}  // namespace

Type Expression::type() const noexcept { return nodes_.back().type; }

Outcome Expression::evaluate(Fields fields) const noexcept {
  return Evaluator{nodes_, strings_, fields}.value_of(static_cast<std::uint32_t>(nodes_.size() - 1));
}

}  // namespace llmd::cel
