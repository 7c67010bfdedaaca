#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "api/openai/field.h"

namespace llmd::openai {

/// Rules by field name. Built at compile time, where an order that is not sorted is an error; find() is O(log n).
template <class Request, std::size_t count>
struct RuleTable {
  std::array<FieldRule<Request>, count> rules;

  [[nodiscard]] constexpr const FieldRule<Request>* find(std::string_view name) const noexcept {
    const auto found =
        std::lower_bound(rules.begin(), rules.end(), name,
                         [](const FieldRule<Request>& rule, std::string_view wanted) { return rule.name < wanted; });
    return found != rules.end() && found->name == name ? &*found : nullptr;
  }
};

template <class Request, std::size_t count>
consteval RuleTable<Request, count> rule_table(const FieldRule<Request> (&rules)[count]) {
  RuleTable<Request, count> table{};
  std::copy(std::begin(rules), std::end(rules), table.rules.begin());
  for (std::size_t index = 1; index < count; ++index) {
    if (!(table.rules[index - 1].name < table.rules[index].name)) throw "rules must be sorted by name, each name once";
  }
  return table;
}

}  // namespace llmd::openai
