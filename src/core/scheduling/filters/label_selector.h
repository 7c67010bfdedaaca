#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/endpoint.h"

namespace llmd::scheduling {

/// One condition of a Kubernetes label selector.
struct LabelRequirement {
  enum class Operator : std::uint8_t {
    kIn,            // the label is there and has one of the values
    kNotIn,         // it has none of them; an absent label has none
    kExists,        // it is there
    kDoesNotExist,  // it is not
  };
  std::string key;
  Operator op = Operator::kExists;
  std::vector<std::string> values{};

  [[nodiscard]] bool holds(const Endpoint& endpoint) const;
  friend bool operator==(const LabelRequirement&, const LabelRequirement&) = default;
};

/// Error kConfigInvalid: no label's name or value, or values that do not go with the operator; the caller adds where.
[[nodiscard]] Result<void> check_label_requirement(const LabelRequirement& requirement);

/// Reads a selector as kubectl writes it: "a=b,c!=d,e in (f,g),h notin (i),j,!k"; all must hold. Empty: no condition.
/// Error kConfigInvalid: something else, also the comparisons > and <.
[[nodiscard]] Result<std::vector<LabelRequirement>> parse_label_selector(std::string_view text);

}  // namespace llmd::scheduling
