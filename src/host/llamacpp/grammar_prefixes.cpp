#include "llamacpp/grammar_prefixes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace llmd::llamacpp {
namespace {

constexpr std::size_t kFewAlternatives = 8;

/// An alternative, or what is left of it.
using Sequence = std::span<const llama_grammar_element>;

struct InOrder {
  bool operator()(Sequence left, Sequence right) const {
    return std::ranges::lexicographical_compare(left, right, {}, value_of, value_of);
  }
  static std::pair<int, std::uint32_t> value_of(const llama_grammar_element& element) {
    return {element.type, element.value};
  }
};

bool is_same(Sequence left, Sequence right) {
  return std::ranges::equal(left, right, {}, InOrder::value_of, InOrder::value_of);
}

std::vector<Sequence> alternatives_of(const llama_grammar_rule& rule) {
  std::vector<Sequence> alternatives;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < rule.size(); ++i) {
    if (rule[i].type != LLAMA_GRETYPE_ALT && rule[i].type != LLAMA_GRETYPE_END) continue;
    alternatives.push_back(Sequence{rule}.subspan(begin, i - begin));
    begin = i + 1;
  }
  return alternatives;
}

/// A character class is several elements; nothing for the end.
Sequence first_symbol(Sequence sequence) {
  std::size_t length = std::min<std::size_t>(sequence.size(), 1);
  while (length < sequence.size() &&
         (sequence[length].type == LLAMA_GRETYPE_CHAR_RNG_UPPER || sequence[length].type == LLAMA_GRETYPE_CHAR_ALT)) {
    ++length;
  }
  return sequence.first(length);
}

/// Elements with which all begin, in whole symbols.
std::size_t common_length(const std::vector<Sequence>& sequences) {
  std::size_t length = 0;
  while (true) {
    const Sequence symbol = first_symbol(sequences.front().subspan(length));
    const bool shared = !symbol.empty() && std::ranges::all_of(sequences, [&](Sequence sequence) {
      return is_same(first_symbol(sequence.subspan(length)), symbol);
    });
    if (!shared) return length;
    length += symbol.size();
  }
}

class Sharing {
 public:
  explicit Sharing(llama_grammar_rules& rules) : rules_{rules} {}

  void run(std::size_t id) {
    if (alternatives_of(rules_[id]).size() <= kFewAlternatives) return;
    const llama_grammar_rule before = std::move(rules_[id]);  // what is left of it is looked at to the end
    left_.push_back({id, alternatives_of(before)});
    while (!left_.empty()) {
      const Left left = std::move(left_.back());
      left_.pop_back();
      llama_grammar_rule written = write(left.alternatives);
      rules_[left.rule] = std::move(written);
    }
  }

 private:
  struct Left {
    std::size_t rule;
    std::vector<Sequence> alternatives;
  };

  llama_grammar_rule write(const std::vector<Sequence>& alternatives) {
    std::map<Sequence, std::vector<Sequence>, InOrder> groups;
    for (const Sequence alternative : alternatives) groups[first_symbol(alternative)].push_back(alternative);
    llama_grammar_rule rule;
    for (auto& [symbol, group] : groups) {
      add(group, rule);
      rule.push_back({LLAMA_GRETYPE_ALT, 0});
    }
    rule.back() = {LLAMA_GRETYPE_END, 0};
    return rule;
  }

  void add(std::vector<Sequence>& group, llama_grammar_rule& rule) {
    const std::size_t length = common_length(group);
    rule.insert(rule.end(), group.front().begin(), group.front().begin() + static_cast<std::ptrdiff_t>(length));
    for (Sequence& sequence : group) sequence = sequence.subspan(length);
    if (std::ranges::all_of(group, &Sequence::empty)) return;
    rule.push_back({LLAMA_GRETYPE_RULE_REF, static_cast<std::uint32_t>(rules_.size())});
    left_.push_back({rules_.size(), std::move(group)});
    rules_.emplace_back();
  }

  llama_grammar_rules& rules_;
  std::vector<Left> left_;
};

}  // namespace

void share_prefixes(llama_grammar_rules& rules) {
  Sharing sharing{rules};
  const std::size_t count = rules.size();
  for (std::size_t id = 0; id < count; ++id) sharing.run(id);
}

}  // namespace llmd::llamacpp
