#include "scheduling/filters/label_selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "scheduling/filters/label_syntax.h"

namespace llmd::scheduling {
namespace {

using Operator = LabelRequirement::Operator;

std::unexpected<Error> invalid(std::string what, std::string hint) {
  return fail(ErrorCode::kConfigInvalid, std::move(what), std::move(hint));
}

/// Reads a selector from left to right.
class SelectorReader {
 public:
  explicit SelectorReader(std::string_view text) noexcept : rest_{text} {}
  Result<std::vector<LabelRequirement>> all();

 private:
  void skip_blanks() noexcept { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  bool take(std::string_view mark) noexcept;
  std::string word();
  Result<LabelRequirement> one();
  Result<std::vector<std::string>> values();
  [[nodiscard]] std::unexpected<Error> unexpected_at(std::string_view wanted) const {
    return invalid(fmt::format("\"{}\" is unexpected; expected {}", rest_.substr(0, 32), wanted),
                   "a selector is written a=b,c!=d,e in (f,g),h notin (i),j,!k");
  }

  std::string_view rest_;
};

bool SelectorReader::take(std::string_view mark) noexcept {
  skip_blanks();
  if (!rest_.starts_with(mark)) return false;
  rest_.remove_prefix(mark.size());
  return true;
}

std::string SelectorReader::word() {
  skip_blanks();
  const std::size_t end = std::min(rest_.find_first_of(" \t,()=!<>"), rest_.size());
  std::string word{rest_.substr(0, end)};
  rest_.remove_prefix(end);
  return word;
}

Result<std::vector<std::string>> SelectorReader::values() {
  if (!take("(")) return unexpected_at("( and values");
  std::vector<std::string> values;
  do values.push_back(word());
  while (take(","));
  if (!take(")")) return unexpected_at(", or )");
  return values;
}

Result<LabelRequirement> SelectorReader::one() {
  LabelRequirement made;
  const bool absent = take("!");
  made.key = word();
  if (made.key.empty()) return unexpected_at("a label");
  if (absent) {
    made.op = Operator::kDoesNotExist;
    return made;
  }
  if (take("!=")) {
    made.op = Operator::kNotIn;
    made.values.push_back(word());
  } else if (take("==") || take("=")) {
    made.op = Operator::kIn;
    made.values.push_back(word());
  } else if (skip_blanks(); !rest_.empty() && rest_.front() != ',') {
    const std::string_view before = rest_;
    const std::string op = word();
    if (op != "in" && op != "notin") {
      rest_ = before;
      return unexpected_at("=, !=, in, notin or ,");
    }
    made.op = op == "in" ? Operator::kIn : Operator::kNotIn;
    LLMD_TRY(made.values, values());
  }
  return made;
}

Result<std::vector<LabelRequirement>> SelectorReader::all() {
  std::vector<LabelRequirement> requirements;
  skip_blanks();
  while (!rest_.empty()) {
    LLMD_TRY(LabelRequirement requirement, one());
    LLMD_TRY_VOID(check_label_requirement(requirement));
    requirements.push_back(std::move(requirement));
    skip_blanks();
    if (rest_.empty()) break;
    if (!take(",")) return unexpected_at(",");
    skip_blanks();
    if (rest_.empty()) return unexpected_at("a label");
  }
  return requirements;
}

}  // namespace

bool LabelRequirement::holds(const Endpoint& endpoint) const {
  const auto label = endpoint.labels.find(key);
  const bool there = label != endpoint.labels.end();
  const auto listed = [&] { return there && std::ranges::find(values, label->second) != values.end(); };
  switch (op) {
    case Operator::kIn: return listed();
    case Operator::kNotIn: return !listed();
    case Operator::kExists: return there;
    case Operator::kDoesNotExist: return !there;
  }
  return false;
}

Result<void> check_label_requirement(const LabelRequirement& requirement) {
  constexpr std::array<std::string_view, 4> kNames{"In", "NotIn", "Exists", "DoesNotExist"};  // as Operator counts
  if (!is_label_key(requirement.key)) {
    return invalid(fmt::format("\"{}\" is not a label's name", requirement.key.substr(0, 64)),
                   "letters, digits, \"-\", \"_\" and \".\", after a DNS name and \"/\" if there is one");
  }
  const bool wants_values = requirement.op == Operator::kIn || requirement.op == Operator::kNotIn;
  if (wants_values == requirement.values.empty()) {
    return invalid(fmt::format("{} of label {} has {} values", kNames[static_cast<std::size_t>(requirement.op)],
                               requirement.key, requirement.values.size()),
                   "In and NotIn need values, Exists and DoesNotExist take none");
  }
  for (const std::string& value : requirement.values) {
    if (is_label_value(value)) continue;
    return invalid(fmt::format("\"{}\" is not a label's value", value.substr(0, 64)),
                   "at most 63 letters, digits, \"-\", \"_\" and \".\"");
  }
  return {};
}

Result<std::vector<LabelRequirement>> parse_label_selector(std::string_view text) { return SelectorReader{text}.all(); }

}  // namespace llmd::scheduling
