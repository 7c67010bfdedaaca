#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "batching/batch_scheduler.h"

namespace llmd::batching {

/// For tests: carries plans out as an engine does, on token counts instead of KV, and fails the test wherever a plan
/// breaks a rule (a hole, a slot used twice, a token too many, a restore of what is not stored).
class SlotModel {
 public:
  struct Faults {
    double batch_fails = 0;    // chance a step that its batch computes nothing
    double store_forgets = 0;  // chance a sequence and step that its stored blocks are lost in part
  };
  /// The first `tokens` tokens of a prompt, under a name: prompts with the same name begin the same.
  struct Prefix {
    std::uint64_t name = 0;
    std::uint32_t tokens = 0;
  };
  struct State {
    SequenceSpec spec;
    std::vector<Prefix> prefixes;     // each within the next
    std::uint32_t output_tokens = 0;  // it finishes after so many
    std::uint32_t tokens = 0;
    std::uint32_t held = 0;    // leading tokens in the slot
    std::uint32_t stored = 0;  // leading tokens in the store, whole blocks
    std::optional<Slot> slot;
    bool prompt_done = false;
  };

  explicit SlotModel(BatchingOptions options) : options_{std::move(options)} {}

  void add(const SequenceSpec& spec, std::uint32_t output_tokens, std::vector<Prefix> prefixes = {}) {
    State& state = states_[spec.id] = {
        .spec = spec, .prefixes = std::move(prefixes), .output_tokens = output_tokens, .tokens = spec.prompt_tokens};
    for (Prefix& prefix : state.prefixes) {
      prefix.tokens = std::min(prefix.tokens, spec.prompt_tokens);
      const std::uint32_t stored = std::min(stored_prefixes_[prefix.name], prefix.tokens);
      state.stored = std::max(state.stored, whole_blocks(stored));
    }
  }
  void remove(SequenceId id) { states_.erase(id); }
  /// As if another request had left this prefix in the store.
  void store(SequenceId id, std::uint32_t tokens) { states_.at(id).stored = whole_blocks(tokens); }
  [[nodiscard]] RestorableTokens restorable() {
    return [this](SequenceId id) { return states_.at(id).stored; };
  }
  [[nodiscard]] SharesBlock shares() {
    return [this](SequenceId a, SequenceId b, std::uint32_t first) {
      return first + options_.block_tokens <= shared_tokens(states_.at(a), states_.at(b));
    };
  }
  [[nodiscard]] const State& state(SequenceId id) const { return states_.at(id); }
  [[nodiscard]] bool contains(SequenceId id) const { return states_.contains(id); }
  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] const std::map<SequenceId, State>& states() const { return states_; }
  [[nodiscard]] std::uint64_t computed_tokens() const { return computed_tokens_; }

  std::vector<StepOutcome> run(const StepPlan& plan) { return run(plan, {}, nullptr); }
  std::vector<StepOutcome> run(const StepPlan& plan, const Faults& faults, Rng* rng) {
    for (const Eviction& eviction : plan.evictions) evict(eviction);
    if (rng != nullptr) forget_some(faults, *rng);
    std::map<SequenceId, StepOutcome> outcomes;
    std::set<SequenceId> admitted;
    for (const Admission& admission : plan.admissions) {
      admitted.insert(admission.id);
      if (const auto restored = admit(admission)) {
        outcomes[admission.id] = {.id = admission.id, .restored_tokens = restored};
      }
    }
    check_work(plan, admitted);
    const bool fails = rng != nullptr && rng->chance(faults.batch_fails);
    for (const Work& work : plan.work) {
      StepOutcome& outcome = outcomes[work.id];
      outcome.id = work.id;
      if (!fails && !outcome.restored_tokens) compute(work, outcome);
    }
    std::vector<StepOutcome> list;
    for (auto& [id, outcome] : outcomes) list.push_back(outcome);
    return list;
  }

 private:
  [[nodiscard]] std::uint32_t whole_blocks(std::uint32_t tokens) const {
    return tokens - tokens % options_.block_tokens;
  }

  static std::uint32_t shared_tokens(const State& a, const State& b) {
    std::uint32_t shared = 0;
    for (std::size_t i = 0; i < std::min(a.prefixes.size(), b.prefixes.size()); ++i) {
      if (a.prefixes[i].name == b.prefixes[i].name) shared = std::min(a.prefixes[i].tokens, b.prefixes[i].tokens);
    }
    return shared;
  }

  /// What the slot of one sequence holds is restorable for all that begin the same.
  void save(State& state) {
    state.stored = std::max(state.stored, whole_blocks(state.held));
    for (const Prefix& prefix : state.prefixes) {
      std::uint32_t& stored = stored_prefixes_[prefix.name];
      stored = std::max(stored, std::min(prefix.tokens, state.held));
    }
    for (auto& [id, other] : states_) {
      const std::uint32_t shared = std::min(state.held, shared_tokens(state, other));
      other.stored = std::max(other.stored, whole_blocks(shared));
    }
  }

  void evict(const Eviction& eviction) {
    State& state = states_.at(eviction.id);
    ASSERT_TRUE(state.slot == eviction.slot) << "evicted from a slot it does not have";
    EXPECT_EQ(eviction.moving, state.tokens > options_.classes[eviction.slot.slot_class].tokens_max);
    save(state);
    state.held = 0;
    state.slot.reset();
  }

  /// The tokens restored, if they are fewer than planned.
  std::optional<std::uint32_t> admit(const Admission& admission) {
    State& state = states_.at(admission.id);
    EXPECT_FALSE(state.slot.has_value()) << "admitted twice";
    EXPECT_LT(admission.slot.index, options_.classes.at(admission.slot.slot_class).slots);
    EXPECT_LE(state.tokens, options_.classes[admission.slot.slot_class].tokens_max);
    for (const auto& [id, other] : states_) EXPECT_FALSE(other.slot == admission.slot) << "slot given twice";
    EXPECT_EQ(admission.restore_tokens % options_.block_tokens, 0U);
    EXPECT_LT(admission.restore_tokens, state.tokens) << "the last token must be computed for its logits";
    if (state.spec.no_restore && !state.prompt_done) {
      EXPECT_EQ(admission.restore_tokens, 0U);
    }
    state.slot = admission.slot;
    state.held = std::min(admission.restore_tokens, state.stored);
    if (state.held == admission.restore_tokens) return std::nullopt;
    return state.held;
  }

  void check_work(const StepPlan& plan, const std::set<SequenceId>& admitted) {
    std::set<SequenceId> seen;
    std::uint32_t tokens = 0;
    bool prefilling = false;
    for (const Work& work : plan.work) {
      const State& state = states_.at(work.id);
      EXPECT_TRUE(seen.insert(work.id).second) << "two pieces of work for one sequence";
      EXPECT_TRUE(state.slot == work.slot);
      EXPECT_GE(work.count, 1U);
      EXPECT_LE(work.count, options_.prefill_chunk_max);
      EXPECT_LE(work.first + work.count, state.tokens) << "tokens that do not exist yet";
      EXPECT_LE(work.first + work.count, options_.classes[work.slot.slot_class].tokens_max);
      EXPECT_EQ(work.sample, work.first + work.count == state.tokens);
      const bool decode = state.tokens > state.spec.prompt_tokens && work.first + 1 == state.tokens;
      if (decode && !admitted.contains(work.id)) {
        EXPECT_FALSE(prefilling) << "decode tokens come first";
      } else {
        prefilling = true;
      }
      tokens += work.count;
    }
    EXPECT_LE(tokens, options_.step_tokens_max);
  }

  void compute(const Work& work, StepOutcome& outcome) {
    State& state = states_.at(work.id);
    EXPECT_EQ(work.first, state.held) << "a hole, or work done twice";
    state.held += work.count;
    computed_tokens_ += work.count;
    outcome.computed = work.count;
    save(state);
    if (state.held >= state.spec.prompt_tokens) state.prompt_done = true;
    if (!work.sample) return;
    if (state.tokens - state.spec.prompt_tokens + 1 >= state.output_tokens) {  // the last one is never computed
      outcome.finished = true;
      states_.erase(work.id);
    } else {
      outcome.appended = 1;
      ++state.tokens;
    }
  }

  void forget_some(const Faults& faults, Rng& rng) {
    for (auto& [id, state] : states_) {
      if (rng.chance(faults.store_forgets)) {
        state.stored = whole_blocks(static_cast<std::uint32_t>(rng.below(state.stored + 1)));
      }
    }
  }

  BatchingOptions options_;
  std::map<SequenceId, State> states_;
  std::map<std::uint64_t, std::uint32_t> stored_prefixes_;  // tokens, by name
  std::uint64_t computed_tokens_ = 0;
};

}  // namespace llmd::batching
