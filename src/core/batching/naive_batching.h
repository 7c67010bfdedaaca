#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "batching/batch_scheduler.h"

namespace llmd::batching {

/// Oracle: the rules of README.md word for word over one unsorted list, recomputed from nothing in every step.
struct NaiveBatching {
  struct Seq {
    SequenceSpec spec;
    std::uint32_t tokens = 0, computed = 0, kept = 0, gained = 0;
    std::optional<Slot> slot{};
    std::optional<std::uint32_t> claim{};
    std::uint64_t since = 0, evicted = 0;
    bool ran = false, prompt_done = false, moving = false;
  };
  BatchingOptions o;
  std::vector<Seq> seqs{};  // by arrival
  std::uint64_t step = 0;
  std::uint32_t prefill_limit = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> claimed{};  // in this step, a class

  std::uint32_t free(std::uint32_t k) const {
    return o.classes[k].slots - claimed[k] -
           static_cast<std::uint32_t>(std::count_if(seqs.begin(), seqs.end(),
                                                    [&](const Seq& s) { return s.slot && s.slot->slot_class == k; }));
  }
  std::uint32_t own(const Seq& s) const {
    const auto last = static_cast<std::uint32_t>(o.classes.size() - 1);
    const auto left = s.spec.tokens_max > s.tokens ? s.spec.tokens_max - s.tokens : 0;
    std::uint32_t k = 0;
    while (k < last && o.classes[k].tokens_max < s.tokens + std::min(left, o.block_tokens)) ++k;
    return k;
  }
  std::optional<std::uint32_t> open_class(const Seq& s) const {
    for (auto k = own(s); k < o.classes.size(); ++k) {
      auto keep =
          k == 0 ? 0U
                 : static_cast<std::uint32_t>(std::ceil(o.growth_reserve * static_cast<float>(o.classes[k].slots)));
      if (k == own(s))
        keep = s.ran || step - s.since >= kReservePatienceSteps ? 0 : std::min(keep, o.classes[k].slots - 1);
      if (free(k) > keep) return k;
    }
    return std::nullopt;
  }
  std::vector<Seq*> order() {
    std::vector<Seq*> list;
    for (auto& s : seqs) list.push_back(&s);
    std::sort(list.begin(), list.end(), [](auto* a, auto* b) {
      return a->spec.priority != b->spec.priority ? a->spec.priority > b->spec.priority : a < b;
    });
    return list;
  }
  Seq* victim(const Seq& s) {
    Seq* found = nullptr;
    for (Seq* v : order()) {
      const bool safe = v->evicted > 0 && (v->spec.no_restore && !v->prompt_done ? true : v->gained < o.block_tokens);
      if (v->slot && v->slot->slot_class >= own(s) && v->spec.priority < s.spec.priority && !safe) found = v;
    }
    return found;
  }
  void evict(Seq& s, StepPlan& plan, bool moving) {
    plan.evictions.push_back({s.spec.id, *s.slot, moving});
    s.kept = std::exchange(s.computed, 0);
    s.slot.reset();
    s.evicted = s.since = step;
    s.moving = moving;
    s.ran = true;
  }
  /// Whether one before it in the order, in a slot, has yet to compute the block that it could restore next.
  bool awaits(const Seq& s, std::uint32_t held, const SharesBlock& shares) {
    if ((s.spec.no_restore && !s.prompt_done) || held + o.block_tokens > s.tokens - 1) return false;
    for (const Seq* l : order()) {
      if (l == &s) return false;
      const bool prefills = l->slot && (l->computed + 1 < l->tokens || l->tokens == l->spec.prompt_tokens);
      const bool yet_to_come = l->computed / o.block_tokens * o.block_tokens <= held;
      if (prefills && yet_to_come && shares(s.spec.id, l->spec.id, held)) return true;
    }
    return false;
  }
  bool admit(Seq& s, StepPlan& plan, std::uint32_t& budget, const RestorableTokens& restorable,
             const SharesBlock& shares) {
    auto k = s.claim && free(*s.claim) > 0 ? s.claim : open_class(s);
    if ((s.evicted == step && !s.moving) || (!k && !victim(s))) return false;
    if (!k) {
      Seq& v = *victim(s);
      k = v.slot->slot_class;
      if (free(*k) == 0) {
        budget += static_cast<std::uint32_t>(std::erase_if(plan.work, [&](auto& w) { return w.id == v.spec.id; }));
        evict(v, plan, false);
      }
    }
    const auto held = s.spec.no_restore && !s.prompt_done ? 0 : s.evicted == step ? s.kept : restorable(s.spec.id);
    const auto restore = std::min(held, s.tokens - 1) / o.block_tokens * o.block_tokens;
    if (awaits(s, restore, shares)) {
      s.claim = k;
      ++claimed[*k];
      return false;
    }
    std::uint32_t index = 0;
    while (std::any_of(seqs.begin(), seqs.end(), [&](auto& other) { return other.slot == Slot{*k, index}; })) ++index;
    s.slot = Slot{*k, index};
    s.claim.reset();
    s.computed = restore;
    s.gained = 0;
    plan.admissions.push_back({s.spec.id, *s.slot, s.computed, s.ran});
    return true;
  }
  StepPlan schedule(const RestorableTokens& restorable, const SharesBlock& shares) {
    ++step;
    claimed.assign(o.classes.size(), 0);
    StepPlan plan;
    const auto decodes = [](const Seq& s) { return s.computed + 1 == s.tokens && s.tokens > s.spec.prompt_tokens; };
    for (Seq* s : order()) {
      if (s->slot && s->tokens > o.classes[s->slot->slot_class].tokens_max) evict(*s, plan, true);
    }
    auto budget = o.step_tokens_max;
    std::vector<Seq*> rest;
    for (Seq* s : order()) {
      if (!s->slot || !decodes(*s)) {
        rest.push_back(s);
      } else {
        plan.work.push_back({s->spec.id, *s->slot, s->computed, 1, true});
        --budget;
      }
    }
    if (!plan.work.empty()) budget = std::min(budget, prefill_limit);
    const auto piece = std::min(o.block_tokens, o.prefill_chunk_max);
    for (bool first = true; Seq * s : rest) {
      if (budget == 0 || (!s->slot && ((!first && budget < piece) || !admit(*s, plan, budget, restorable, shares))))
        continue;
      const auto left = s->tokens - s->computed, count = std::min({left, o.prefill_chunk_max, budget});
      if (!first && count < left && count < piece) continue;
      plan.work.push_back({s->spec.id, *s->slot, s->computed, count, count == left});
      budget -= count;
      first = false;
    }
    return plan;
  }
  void update(const std::vector<StepOutcome>& outcomes) {
    for (const auto& outcome : outcomes) {
      const auto s = std::find_if(seqs.begin(), seqs.end(), [&](auto& seq) { return seq.spec.id == outcome.id; });
      s->computed = outcome.restored_tokens.value_or(s->computed) + outcome.computed;
      s->gained += outcome.computed;
      s->prompt_done |= s->computed >= s->spec.prompt_tokens;
      s->tokens += outcome.appended;
      if (outcome.finished) seqs.erase(s);
    }
  }
};

}  // namespace llmd::batching
