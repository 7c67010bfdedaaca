#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "cel/expression.h"
#include "cel/lexer.h"
#include "cel/literal.h"

namespace llmd::cel {
namespace {

using Op = Expression::Op;
using Node = Expression::Node;

constexpr std::array<std::string_view, 17> kReserved{"as",        "break",  "const",  "continue", "else", "for",
                                                     "function",  "if",     "import", "let",      "loop", "package",
                                                     "namespace", "return", "var",    "void",     "while"};
constexpr std::array<std::string_view, 4> kKeywords{"true", "false", "null", "in"};

struct BinaryOperator {
  std::string_view mark;
  int level;  // of binding: higher binds closer
  Op op;
};
constexpr int kOrLevel = 1;
constexpr int kRelationLevel = 3;
constexpr std::array kBinary{BinaryOperator{"||", kOrLevel, Op::kOr},
                             BinaryOperator{"&&", 2, Op::kAnd},
                             BinaryOperator{"<", kRelationLevel, Op::kLess},
                             BinaryOperator{"<=", kRelationLevel, Op::kLessEqual},
                             BinaryOperator{">", kRelationLevel, Op::kGreater},
                             BinaryOperator{">=", kRelationLevel, Op::kGreaterEqual},
                             BinaryOperator{"==", kRelationLevel, Op::kEqual},
                             BinaryOperator{"!=", kRelationLevel, Op::kNotEqual},
                             BinaryOperator{"+", 4, Op::kAdd},
                             BinaryOperator{"-", 4, Op::kSubtract},
                             BinaryOperator{"*", 5, Op::kMultiply},
                             BinaryOperator{"/", 5, Op::kDivide},
                             BinaryOperator{"%", 5, Op::kModulo}};

constexpr bool is_numeric(Type type) noexcept { return type != Type::kBool && type != Type::kString; }

/// What a part of an expression is: a value, or a record whose field is asked for next.
struct Operand {
  std::uint32_t node = 0;
  Type type = Type::kBool;
  std::size_t offset = 0;  // where it stands
  std::string path{};      // of a record or a field: "usage.prompt_tokens"; empty: neither
  bool is_record = false;  // then there is no node
};

/// The fields of a record: [first, end) of the schema.
struct FieldRange {
  std::uint32_t first = 0;
  std::uint32_t end = 0;
};

FieldRange fields_of(Schema schema, std::string_view record) {
  const auto within = [&](const FieldSpec& field) {
    return field.path.size() > record.size() && field.path.starts_with(record) && field.path[record.size()] == '.';
  };
  const auto first = std::ranges::find_if(schema, within);
  const auto end = std::find_if_not(first, schema.end(), within);
  return {static_cast<std::uint32_t>(first - schema.begin()), static_cast<std::uint32_t>(end - schema.begin())};
}

}  // namespace

/// Parses by recursive descent, and checks types on the way.
class Compiler {
 public:
  Compiler(std::string_view text, Schema schema) noexcept : text_{text}, schema_{schema} {}
  Result<Expression> compile();

 private:
  Result<Operand> conditional();
  Result<Operand> binary(int level);
  Result<Operand> unary();
  Result<Operand> signs();
  Result<Operand> member();
  Result<Operand> primary();
  Result<Operand> name();
  Result<Operand> literal(bool negative);
  Result<Operand> has(std::size_t offset);
  Result<Operand> select(Operand record);
  Result<Operand> combine(const BinaryOperator& op, Operand left, Operand right, std::size_t offset);
  Result<Operand> arithmetic(const BinaryOperator& op, Operand left, Operand right, std::size_t offset);
  Result<Operand> join(const Operand& condition, Operand yes, Operand no);

  Result<void> advance();
  Result<void> expect(std::string_view mark, std::string_view what);
  [[nodiscard]] bool at(std::string_view mark) const noexcept {
    return token_.kind == TokenKind::kMark && token_.text == mark;
  }
  Result<Operand> add(Node node, std::size_t offset);
  Result<Operand> to_double(Operand operand);
  [[nodiscard]] Result<void> need_value(const Operand& operand) const;
  [[nodiscard]] Result<void> need_bool(const Operand& operand, std::string_view what) const;
  [[nodiscard]] std::unexpected<Error> fail_at(std::size_t offset, std::string_view what,
                                               std::string_view hint = {}) const {
    return std::unexpected(error_at(text_, offset, what, hint));
  }
  [[nodiscard]] std::unexpected<Error> unexpected_token(std::string_view wanted) const;

  std::string_view text_;
  Schema schema_;
  Token token_;
  std::size_t next_ = 0;  // where what follows token_ begins
  std::size_t nesting_ = 0;
  Expression made_;
};

Result<Expression> Compiler::compile() {
  if (text_.size() > kTextBytesMax) {
    return fail_at(0, fmt::format("an expression of {} bytes; at most {} are read", text_.size(), kTextBytesMax));
  }
  LLMD_TRY_VOID(advance());
  LLMD_TRY(const Operand whole, conditional());
  if (token_.kind != TokenKind::kEnd) return unexpected_token("an operator or the end");
  LLMD_TRY_VOID(need_value(whole));
  return std::move(made_);
}

Result<void> Compiler::advance() {
  LLMD_TRY(token_, next_token(text_, next_));
  next_ = token_.offset + token_.text.size();
  return {};
}

Result<void> Compiler::expect(std::string_view mark, std::string_view what) {
  if (!at(mark)) return unexpected_token(what);
  return advance();
}

std::unexpected<Error> Compiler::unexpected_token(std::string_view wanted) const {
  if (token_.kind == TokenKind::kEnd) return fail_at(token_.offset, fmt::format("the text ends; expected {}", wanted));
  if (token_.text == "in") return fail_at(token_.offset, "\"in\" is not supported, as there are no lists and maps");
  if (token_.text == "[" || token_.text == "{")
    return fail_at(token_.offset, "lists, maps and indices are not supported", "a field is written record.field");
  return fail_at(token_.offset, fmt::format("\"{}\" is unexpected; expected {}", token_.text.substr(0, 32), wanted));
}

Result<Operand> Compiler::add(Node node, std::size_t offset) {
  if (made_.nodes_.size() >= kNodesMax)
    return fail_at(offset, fmt::format("more than {} values and operators", kNodesMax));
  made_.nodes_.push_back(node);
  return Operand{.node = static_cast<std::uint32_t>(made_.nodes_.size() - 1), .type = node.type, .offset = offset};
}

Result<void> Compiler::need_value(const Operand& operand) const {
  if (!operand.is_record) return {};
  return fail_at(operand.offset, fmt::format("{} is a record, not a value", operand.path.substr(0, 64)),
                 "name one of its fields");
}

Result<void> Compiler::need_bool(const Operand& operand, std::string_view what) const {
  LLMD_TRY_VOID(need_value(operand));
  if (operand.type == Type::kBool) return {};
  return fail_at(operand.offset, fmt::format("{} is of type {}; expected bool", what, type_name(operand.type)));
}

Result<Operand> Compiler::to_double(Operand operand) {
  return add({.op = Op::kToDouble, .type = Type::kDouble, .a = operand.node}, operand.offset);
}

Result<Operand> Compiler::conditional() {
  if (++nesting_ > kNestingMax) return fail_at(token_.offset, fmt::format("nested more than {} deep", kNestingMax));
  LLMD_TRY(Operand first, binary(kOrLevel));
  if (at("?")) {
    LLMD_TRY_VOID(need_bool(first, "what stands before ?"));
    LLMD_TRY_VOID(advance());
    LLMD_TRY(Operand yes, binary(kOrLevel));
    LLMD_TRY_VOID(expect(":", "the : of a condition"));
    LLMD_TRY(Operand no, conditional());
    LLMD_TRY(first, join(first, std::move(yes), std::move(no)));
  }
  --nesting_;
  return first;
}

Result<Operand> Compiler::join(const Operand& condition, Operand yes, Operand no) {
  LLMD_TRY_VOID(need_value(yes));
  LLMD_TRY_VOID(need_value(no));
  const auto is = [&](Type a, Type b) { return (yes.type == a && no.type == b) || (yes.type == b && no.type == a); };
  Type type = yes.type;
  if (is(Type::kNumber, Type::kInt)) {
    type = Type::kNumber;
  } else if (is(Type::kNumber, Type::kDouble)) {
    type = Type::kDouble;
    Operand& number = yes.type == Type::kNumber ? yes : no;
    LLMD_TRY(number, to_double(number));
  } else if (yes.type != no.type) {
    return fail_at(no.offset, fmt::format("the two results of ?: are of types {} and {}", type_name(yes.type),
                                          type_name(no.type)));
  }
  return add({.op = Op::kCondition, .type = type, .a = condition.node, .b = yes.node, .c = no.node}, condition.offset);
}

Result<Operand> Compiler::binary(int level) {
  constexpr int kUnaryLevel = 6;
  if (level == kUnaryLevel) return unary();
  LLMD_TRY(Operand left, binary(level + 1));
  while (token_.kind == TokenKind::kMark) {
    const auto op = std::ranges::find_if(
        kBinary, [&](const BinaryOperator& each) { return each.level == level && each.mark == token_.text; });
    if (op == kBinary.end()) break;
    const std::size_t offset = token_.offset;
    LLMD_TRY_VOID(advance());
    LLMD_TRY(Operand right, binary(level + 1));
    LLMD_TRY(left, combine(*op, std::move(left), std::move(right), offset));
  }
  return left;
}

Result<Operand> Compiler::combine(const BinaryOperator& op, Operand left, Operand right, std::size_t offset) {
  if (op.level < kRelationLevel) {
    LLMD_TRY_VOID(need_bool(left, fmt::format("the left of {}", op.mark)));
    LLMD_TRY_VOID(need_bool(right, fmt::format("the right of {}", op.mark)));
    return add({.op = op.op, .type = Type::kBool, .a = left.node, .b = right.node}, left.offset);
  }
  LLMD_TRY_VOID(need_value(left));
  LLMD_TRY_VOID(need_value(right));
  if (op.level > kRelationLevel) return arithmetic(op, std::move(left), std::move(right), offset);
  if (left.type != right.type && !(is_numeric(left.type) && is_numeric(right.type))) {
    return fail_at(offset,
                   fmt::format("{} cannot compare {} with {}", op.mark, type_name(left.type), type_name(right.type)));
  }
  return add({.op = op.op, .type = Type::kBool, .a = left.node, .b = right.node}, left.offset);
}

Result<Operand> Compiler::arithmetic(const BinaryOperator& op, Operand left, Operand right, std::size_t offset) {
  const auto is = [&](Type a, Type b) {
    return (left.type == a && right.type == b) || (left.type == b && right.type == a);
  };
  Type type = left.type;
  if (is(Type::kNumber, Type::kInt)) {
    type = Type::kNumber;
  } else if (is(Type::kNumber, Type::kDouble) || (is(Type::kNumber, Type::kNumber) && op.op == Op::kDivide)) {
    type = Type::kDouble;
    for (Operand* operand : {&left, &right}) {
      if (operand->type == Type::kNumber) {
        LLMD_TRY(*operand, to_double(*operand));
      }
    }
  } else if (left.type != right.type || !is_numeric(type)) {
    return fail_at(
        offset, fmt::format("{} has no meaning for {} and {}", op.mark, type_name(left.type), type_name(right.type)));
  }
  if (type == Type::kDouble && op.op == Op::kModulo) return fail_at(offset, "% has no meaning for doubles");
  return add({.op = op.op, .type = type, .a = left.node, .b = right.node}, left.offset);
}

Result<Operand> Compiler::unary() {
  if (at("-")) return signs();
  const std::size_t offset = token_.offset;
  std::size_t count = 0;
  for (; at("!"); ++count) LLMD_TRY_VOID(advance());
  LLMD_TRY(const Operand operand, member());
  if (count == 0) return operand;
  LLMD_TRY_VOID(need_bool(operand, "what stands behind !"));
  if (count % 2 == 0) return operand;
  return add({.op = Op::kNot, .type = Type::kBool, .a = operand.node}, offset);
}

// The last minus belongs to a number that follows: 2^63 alone would be beyond an int.
Result<Operand> Compiler::signs() {
  const std::size_t offset = token_.offset;
  std::size_t count = 0;
  for (; at("-"); ++count) LLMD_TRY_VOID(advance());
  const bool number = token_.kind == TokenKind::kInt || token_.kind == TokenKind::kDouble;
  if (number) --count;
  LLMD_TRY(const Operand operand, number ? literal(true) : member());
  LLMD_TRY_VOID(need_value(operand));
  if (!is_numeric(operand.type) || operand.type == Type::kUint)
    return fail_at(offset, fmt::format("- has no meaning for {}", type_name(operand.type)));
  if (count % 2 == 0) return operand;
  return add({.op = Op::kNegate, .type = operand.type, .a = operand.node}, offset);
}

Result<Operand> Compiler::member() {
  LLMD_TRY(Operand operand, primary());
  while (at(".")) {
    LLMD_TRY_VOID(advance());
    LLMD_TRY(operand, select(std::move(operand)));
  }
  return operand;
}

Result<Operand> Compiler::primary() {
  if (token_.kind == TokenKind::kName) return name();
  if (token_.kind == TokenKind::kBytes) return fail_at(token_.offset, "bytes are not supported");
  if (token_.kind != TokenKind::kMark && token_.kind != TokenKind::kEnd) return literal(false);
  const std::size_t offset = token_.offset;
  const bool root = at(".");  // of all names: where they are anyway
  if (!root && !at("(")) return unexpected_token("a value");
  LLMD_TRY_VOID(advance());
  if (root && token_.kind != TokenKind::kName) return unexpected_token("a name");
  LLMD_TRY(Operand operand, root ? name() : conditional());
  if (!root) LLMD_TRY_VOID(expect(")", "an operator or )"));
  operand.offset = offset;
  return operand;
}

Result<Operand> Compiler::literal(bool negative) {
  const Token token = token_;
  LLMD_TRY_VOID(advance());
  Node node{};
  bool fits = true;
  if (token.kind == TokenKind::kInt) {
    const auto value = int_literal(token.text, negative);
    node = {.type = Type::kInt, .bits = static_cast<std::uint64_t>(value.value_or(0))};
    fits = value.has_value();
  } else if (token.kind == TokenKind::kUint) {
    const auto value = uint_literal(token.text);
    node = {.type = Type::kUint, .bits = value.value_or(0)};
    fits = value.has_value();
  } else if (token.kind == TokenKind::kDouble) {
    const auto value = double_literal(token.text);
    const double number = value.value_or(0);
    node = {.type = Type::kDouble, .bits = std::bit_cast<std::uint64_t>(negative ? -number : number)};
    fits = value.has_value();
  } else {
    const auto value = string_literal(token.text);
    if (!value) return fail_at(token.offset, "a string with an escape that CEL does not have");
    node = {.type = Type::kString,
            .a = static_cast<std::uint32_t>(made_.strings_.size()),
            .b = static_cast<std::uint32_t>(value->size())};
    made_.strings_ += *value;
  }
  if (!fits) return fail_at(token.offset, fmt::format("{} is beyond 64 bits", token.text.substr(0, 64)));
  return add(node, token.offset);
}

Result<Operand> Compiler::name() {
  const Token token = token_;
  LLMD_TRY_VOID(advance());
  if (token.text == "true" || token.text == "false")
    return add({.type = Type::kBool, .bits = token.text == "true" ? 1U : 0U}, token.offset);
  if (token.text == "null")
    return fail_at(token.offset, "null is not supported", "has(record.field) asks whether it is there");
  if (token.text == "has" && at("(")) return has(token.offset);
  if (at("(")) {
    return fail_at(token.offset, fmt::format("functions are not supported: {}()", token.text.substr(0, 64)),
                   "numbers of a record go with int and with double as they are");
  }
  if (std::ranges::find(kReserved, token.text) != kReserved.end() || token.text == "in")
    return fail_at(token.offset, fmt::format("\"{}\" is a reserved word", token.text));
  const FieldRange fields = fields_of(schema_, token.text);
  if (fields.first == fields.end) {
    const std::string_view known = schema_.empty() ? "" : schema_.front().path;
    return fail_at(token.offset, fmt::format("\"{}\" is not known here", token.text.substr(0, 64)),
                   fmt::format("expressions read {}", known.substr(0, known.find('.'))));
  }
  return Operand{.offset = token.offset, .path = std::string{token.text}, .is_record = true};
}

Result<Operand> Compiler::select(Operand record) {
  if (token_.kind != TokenKind::kName || std::ranges::find(kKeywords, token_.text) != kKeywords.end())
    return unexpected_token("a field's name");
  const Token field = token_;
  LLMD_TRY_VOID(advance());
  if (at("(")) return fail_at(field.offset, fmt::format("functions are not supported: {}()", field.text.substr(0, 64)));
  const bool unknown_record =
      !record.is_record && !record.path.empty() && made_.nodes_[record.node].a == Expression::kNothing;
  if (!record.is_record && !unknown_record)
    return fail_at(field.offset, fmt::format("a value of type {} has no fields", type_name(record.type)));
  std::string path = fmt::format("{}.{}", record.path, field.text);
  const FieldRange inner = fields_of(schema_, path);
  if (inner.first != inner.end) return Operand{.offset = record.offset, .path = std::move(path), .is_record = true};
  const auto known = std::ranges::find(schema_, path, &FieldSpec::path);
  const bool is_known = known != schema_.end();
  if (!is_known && std::ranges::find(made_.unknown_, path) == made_.unknown_.end()) made_.unknown_.push_back(path);
  LLMD_TRY(Operand made,
           add({.op = Op::kField,
                .type = is_known ? known->type : Type::kNumber,
                .a = is_known ? static_cast<std::uint32_t>(known - schema_.begin()) : Expression::kNothing},
               record.offset));
  made.path = std::move(path);
  return made;
}

// has(record.field): whether the field is there. That the record is there is not asked: without it there is an error.
Result<Operand> Compiler::has(std::size_t offset) {
  LLMD_TRY_VOID(advance());
  const std::size_t argument_offset = token_.offset;
  LLMD_TRY(const Operand field, conditional());
  const std::size_t dot = field.path.rfind('.');
  if (dot == std::string::npos || field.offset != argument_offset)
    return fail_at(argument_offset, "has() asks for a field, written record.field");
  LLMD_TRY_VOID(expect(")", "the ) of has()"));
  FieldRange asked = fields_of(schema_, field.path);
  if (!field.is_record) {
    // The field that was read as a value is asked for instead.
    const std::uint32_t index = made_.nodes_[field.node].a;
    made_.nodes_.pop_back();
    asked = index == Expression::kNothing ? FieldRange{} : FieldRange{index, index + 1};
  }
  const std::string_view record = std::string_view{field.path}.substr(0, dot);
  const FieldRange siblings = fields_of(schema_, record);
  const bool variable = !record.contains('.');
  const bool missing = siblings.first == siblings.end;  // a field of what is unknown itself
  return add({.op = Op::kHas,
              .type = Type::kBool,
              .a = variable ? Expression::kNothing : (missing ? 0 : siblings.first),
              .b = missing ? 0 : siblings.end,
              .c = asked.end - asked.first,
              .bits = asked.first},
             offset);
}

Result<Expression> Expression::compile(std::string_view text, Schema schema) {
  return Compiler{text, schema}.compile();
}

}  // namespace llmd::cel
