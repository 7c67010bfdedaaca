#include "reporting/attribute_reporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace llmd::reporting {
namespace {

using cel::FieldSpec;
using cel::Type;
using cel::Value;

// What llm-d's EPP shows of an answer's usage.
constexpr std::array kSchema{FieldSpec{"usage.prompt_tokens", Type::kNumber},
                             FieldSpec{"usage.completion_tokens", Type::kNumber},
                             FieldSpec{"usage.total_tokens", Type::kNumber},
                             FieldSpec{"usage.prompt_tokens_details.cached_tokens", Type::kNumber}};

std::array<std::optional<Value>, kSchema.size()> fields_of(const Usage& usage) noexcept {
  const auto number = [](std::uint64_t count) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return Value::of_int(static_cast<std::int64_t>(std::min(count, kMax)));
  };
  std::array<std::optional<Value>, kSchema.size()> fields{number(usage.prompt_tokens), number(usage.completion_tokens),
                                                          number(usage.total_tokens), std::nullopt};
  if (usage.cached_tokens) fields[3] = number(*usage.cached_tokens);
  return fields;
}

/// Sets the field at fault, for the loader to find its place.
Error in_field(Error error, std::string_view field) {
  error.param = field;
  return error;
}

Error invalid(std::string_view field, std::string what, std::string hint) {
  return {
      .code = ErrorCode::kConfigInvalid, .what = std::move(what), .hint = std::move(hint), .param = std::string{field}};
}

Result<cel::Expression> compile(std::string_view field, std::string_view text) {
  auto expression = cel::Expression::compile(text, kSchema);
  if (!expression) return std::unexpected(in_field(std::move(expression).error(), field));
  const bool is_bool = expression->type() == Type::kBool;
  if (field == "condition" && !is_bool) {
    return std::unexpected(invalid(field,
                                   fmt::format("1:1: is of type {}; expected bool", type_name(expression->type())),
                                   "compare it with something: > 0"));
  }
  if (field == "expression" && (is_bool || expression->type() == Type::kString)) {
    return std::unexpected(invalid(field,
                                   fmt::format("1:1: is of type {}; expected a number", type_name(expression->type())),
                                   is_bool ? "? 1 : 0 makes a number of it" : ""));
  }
  return expression;
}

std::expected<std::int64_t, ReportError> whole_number(const Value& value) noexcept {
  if (value.type() == Type::kInt) return value.as_int();
  if (value.type() == Type::kUint) {
    if (value.as_uint() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      return std::unexpected(ReportError::kOverflow);
    return static_cast<std::int64_t>(value.as_uint());
  }
  const double number = std::trunc(value.as_double());
  if (!(number >= -0x1p63 && number < 0x1p63)) return std::unexpected(ReportError::kOverflow);  // NaN, too
  return static_cast<std::int64_t>(number);
}

}  // namespace

Result<AttributeReporter> AttributeReporter::make(AttributeSpec spec) {
  if (spec.name.empty()) {
    return std::unexpected(invalid("key.name", "is empty", "it names the value in the metadata"));
  }
  if (spec.expression.empty()) {
    return std::unexpected(
        invalid("expression", "is empty", "for example: usage.prompt_tokens + usage.completion_tokens"));
  }
  if (spec.name_space.empty()) spec.name_space = AttributeSpec{}.name_space;
  LLMD_TRY(cel::Expression expression, compile("expression", spec.expression));
  std::optional<cel::Expression> condition;
  if (!spec.condition.empty()) {
    LLMD_TRY(condition, compile("condition", spec.condition));
  }
  return AttributeReporter{std::move(spec), std::move(expression), std::move(condition)};
}

std::vector<std::string> AttributeReporter::unknown_fields() const {
  std::vector<std::string> unknown = expression_.unknown_fields();
  if (!condition_) return unknown;
  for (const std::string& field : condition_->unknown_fields()) {
    if (std::ranges::find(unknown, field) == unknown.end()) unknown.push_back(field);
  }
  return unknown;
}

std::expected<std::optional<std::int64_t>, ReportError> AttributeReporter::value(const Usage& usage) const noexcept {
  const auto fields = fields_of(usage);
  if (condition_) {
    const cel::Outcome holds = condition_->evaluate(fields);
    if (!holds) return std::unexpected(holds.error());
    if (!holds->as_bool()) return std::nullopt;
  }
  const cel::Outcome outcome = expression_.evaluate(fields);
  if (!outcome) return std::unexpected(outcome.error());
  const auto number = whole_number(*outcome);
  if (!number) return std::unexpected(number.error());
  if (*number == 0) return std::nullopt;
  return *number;
}

std::vector<ReportedValue> report(std::span<const AttributeReporter> reporters, const Usage& usage,
                                  std::uint64_t* failed) {
  std::vector<ReportedValue> values;
  for (const AttributeReporter& reporter : reporters) {
    const auto value = reporter.value(usage);
    if (!value && failed != nullptr) ++*failed;
    if (!value || !*value) continue;
    const AttributeSpec& spec = reporter.spec();
    const auto same = std::ranges::find_if(values, [&](const ReportedValue& each) {
      return each.name_space == spec.name_space && each.name == spec.name;
    });
    if (same == values.end()) {
      values.push_back({spec.name_space, spec.name, **value});
    } else {
      same->value = **value;
    }
  }
  return values;
}

}  // namespace llmd::reporting
