#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cel/expression.h"
#include "reporting/usage.h"

namespace llmd::reporting {

/// One entry of the parameter `attributes` of a request-attribute-reporter, as it is written.
struct AttributeSpec {
  std::string name_space{"envoy.lb"};  // of the metadata
  std::string name{};                  // in it
  std::string expression{};            // CEL over `usage`, of a number
  std::string condition{};             // CEL over `usage`, of a bool; empty: always
};

/// A number for the proxy in front: dynamic metadata [name_space][name], where it is a double.
struct ReportedValue {
  std::string name_space;
  std::string name;
  std::int64_t value = 0;
  friend bool operator==(const ReportedValue&, const ReportedValue&) = default;
};

/// Why a request has no value that it should have: shown by evaluation_error_text.
using ReportError = cel::EvaluationError;

/// Computes one attribute of requests that ended (llm-d's request-attribute-reporter). Immutable.
class AttributeReporter {
 public:
  /// Compiles. Error kConfigInvalid: no name, an expression that is none, is of bool or string, a condition that is not
  /// bool; `param` is the field of AttributeSpec, `what` begins with line and column within it, or is of the whole.
  [[nodiscard]] static Result<AttributeReporter> make(AttributeSpec spec);

  [[nodiscard]] const AttributeSpec& spec() const noexcept { return spec_; }
  /// Fields that expression or condition read and no request has, to warn of.
  [[nodiscard]] std::vector<std::string> unknown_fields() const;

  /// Nothing: the condition does not hold, or the number is 0, which llm-d does not report. Doubles are cut to whole
  /// numbers; beyond 64 bits they are kOverflow. No allocation.
  [[nodiscard]] std::expected<std::optional<std::int64_t>, ReportError> value(const Usage& usage) const noexcept;

 private:
  AttributeReporter(AttributeSpec spec, cel::Expression expression, std::optional<cel::Expression> condition)
      : spec_{std::move(spec)}, expression_{std::move(expression)}, condition_{std::move(condition)} {}

  AttributeSpec spec_;
  cel::Expression expression_;
  std::optional<cel::Expression> condition_;
};

/// What all reporters have to say of a request, in their order; of two with the same names the later one counts, as
/// with llm-d. `failed` (may be null) is raised by those that had an error.
[[nodiscard]] std::vector<ReportedValue> report(std::span<const AttributeReporter> reporters, const Usage& usage,
                                                std::uint64_t* failed = nullptr);

}  // namespace llmd::reporting
