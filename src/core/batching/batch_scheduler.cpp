#include "batching/batch_scheduler.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace llmd::batching {

BatchScheduler::BatchScheduler(BatchingOptions options) : options_{std::move(options)} {
  options_.step_tokens_max = std::max(options_.step_tokens_max, 1U);
  options_.prefill_chunk_max = std::max(options_.prefill_chunk_max, 1U);
  options_.block_tokens = std::max(options_.block_tokens, 1U);
  options_.growth_reserve = std::clamp(options_.growth_reserve, 0.0F, 1.0F);
  for (std::uint32_t i = 0; i < options_.classes.size(); ++i) {
    owners_.emplace_back(options_.classes[i].slots, nullptr);
    free_.push_back(options_.classes[i].slots);
    claimed_.push_back(0);
    if (options_.classes[i].slots > 0) largest_class_ = i;
  }
}

BatchScheduler::BatchScheduler(const BatchScheduler& other)
    : options_{other.options_},
      largest_class_{other.largest_class_},
      sequences_{other.sequences_},
      owners_{other.owners_},
      free_{other.free_},
      claimed_{other.claimed_},
      running_{other.running_},
      prefill_limit_{other.prefill_limit_},
      step_{other.step_},
      arrivals_{other.arrivals_},
      preemptions_{other.preemptions_},
      mean_output_{other.mean_output_},
      unservable_from_{other.unservable_from_} {
  order_.reserve(other.order_.size());
  for (const Sequence* sequence : other.order_) order_.push_back(&sequences_.at(sequence->spec.id));
  for (auto& slots : owners_) {
    for (Sequence*& owner : slots) owner = owner == nullptr ? nullptr : &sequences_.at(owner->spec.id);
  }
}

Result<void> BatchScheduler::add(const SequenceSpec& spec) {
  if (spec.prompt_tokens == 0 || sequences_.contains(spec.id)) {
    return fail(ErrorCode::kInternal, "sequence " + std::to_string(spec.id.value) + " is empty or was added before");
  }
  const std::uint32_t longest =
      options_.classes.empty() || owners_[largest_class_].empty() ? 0 : options_.classes[largest_class_].tokens_max;
  const std::uint64_t needed = std::uint64_t{spec.prompt_tokens} + (spec.tokens_max > spec.prompt_tokens ? 1 : 0);
  if (needed > longest) {
    return fail(ErrorCode::kContextLengthExceeded,
                "the prompt has " + std::to_string(spec.prompt_tokens) + " tokens, with room for output it needs " +
                    std::to_string(needed) + "; the largest slot holds " + std::to_string(longest),
                "shorten the prompt, or start the worker with more --kv-memory");
  }
  if (waiting() >= options_.waiting_max) {
    return fail(ErrorCode::kOverloaded, std::to_string(waiting()) + " sequences wait, which is the limit",
                "try again later, or raise the worker's queue limit");
  }
  Sequence& sequence = sequences_[spec.id];
  sequence.spec = spec;
  sequence.arrival = arrivals_++;
  sequence.tokens = spec.prompt_tokens;
  sequence.waiting_since = step_;
  order_.insert(std::ranges::upper_bound(order_, &sequence, Before{}), &sequence);
  return {};
}

std::optional<Slot> BatchScheduler::remove(SequenceId id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return std::nullopt;
  const auto slot = found->second.slot;
  forget(found->second);
  return slot;
}

void BatchScheduler::forget(Sequence& sequence) {
  if (sequence.slot) free_slot(sequence);
  order_.erase(std::ranges::lower_bound(order_, &sequence, Before{}));
  sequences_.erase(SequenceId{sequence.spec.id});
}

StepPlan BatchScheduler::schedule(const RestorableTokens& restorable, const SharesBlock& shares) {
  ++step_;
  std::fill(claimed_.begin(), claimed_.end(), 0);
  unservable_from_ = static_cast<std::uint32_t>(options_.classes.size());
  StepPlan plan;
  evict_outgrown(plan);
  std::uint32_t budget = plan_decodes(plan);
  if (!plan.work.empty()) budget = std::min(budget, prefill_limit_);
  Prefixes prefixes{.restorable = restorable, .shares = shares};
  plan_prefills(plan, budget, prefixes);
  return plan;
}

/// A sequence whose next token does not fit goes out at once, even if no larger slot is free: it could not run, and its
/// slot serves another meanwhile.
void BatchScheduler::evict_outgrown(StepPlan& plan) {
  for (Sequence* sequence : order_) {
    if (!sequence->slot || sequence->tokens <= slot_tokens(*sequence->slot)) continue;
    if (sequence->slot->slot_class < largest_class_) evict(*sequence, plan, /*moving=*/true);
  }
}

/// Returns the budget that is left. The decoding sequences never exceed the budget: each became one by a piece of work
/// in a step that also ran all the others.
std::uint32_t BatchScheduler::plan_decodes(StepPlan& plan) {
  std::uint32_t budget = options_.step_tokens_max;
  for (Sequence* sequence : order_) {
    const bool fits = sequence->slot && sequence->tokens <= slot_tokens(*sequence->slot);
    if (!fits || !sequence->decoding() || budget == 0) continue;
    work(*sequence, plan, 1);
    --budget;
  }
  return budget;
}

/// Running and waiting sequences in one order. A waiting one is admitted only when the budget reaches it: a slot held
/// before that would compute nothing, and a later admission finds more of its prefix in the store.
void BatchScheduler::plan_prefills(StepPlan& plan, std::uint32_t budget, Prefixes& prefixes) {
  const std::uint32_t chunk_min = std::min(options_.block_tokens, options_.prefill_chunk_max);
  bool first = true;
  for (Sequence* sequence : order_) {
    if (budget == 0) break;
    if (sequence->slot) {
      const bool fits = sequence->tokens <= slot_tokens(*sequence->slot);
      if (sequence->decoding() || !fits) continue;
    } else {
      if (!first && budget < chunk_min) continue;
      if (!admit(*sequence, plan, budget, prefixes)) continue;
    }
    prefixes.prefilling.push_back(sequence);
    const std::uint32_t count = chunk_tokens(*sequence, budget, first);
    if (count == 0) continue;
    work(*sequence, plan, count);
    budget -= count;
    first = false;
  }
}

/// All that is left of the sequence if it fits. A piece below a block is started only if the step has no other prefill:
/// it costs nearly what a whole block costs.
std::uint32_t BatchScheduler::chunk_tokens(const Sequence& sequence, std::uint32_t budget, bool first) const noexcept {
  const std::uint32_t count = std::min({sequence.remaining(), options_.prefill_chunk_max, budget});
  const std::uint32_t chunk_min = std::min(options_.block_tokens, options_.prefill_chunk_max);
  return count < sequence.remaining() && count < chunk_min && !first ? 0 : count;
}

bool BatchScheduler::admit(Sequence& sequence, StepPlan& plan, std::uint32_t& budget, const Prefixes& prefixes) {
  const bool preempted_now = sequence.evicted == step_ && !sequence.moving;
  if (preempted_now) return false;
  const auto slot_class = make_room(sequence, plan, budget);
  if (!slot_class) return false;
  const std::uint32_t restore = restorable_tokens(sequence, prefixes.restorable);
  if (awaits_prefix(sequence, restore, prefixes)) {
    // The slot stays its own, so that the wait costs it no place; those behind it see what they would see had it run.
    sequence.claim = slot_class;
    ++claimed_[*slot_class];
    return false;
  }
  take_slot(sequence, *slot_class);
  plan.admissions.push_back({sequence.spec.id, *sequence.slot, restore, sequence.ran});
  sequence.computed = restore;
  sequence.residence_tokens = 0;
  return true;
}

/// Whether a sequence ahead computes the next block that this one could restore. The one ahead holds a slot and gets
/// its tokens first, so the wait ends. Once it has computed the block and the store lacks it all the same (no room, an
/// eviction), nobody waits for it any more.
bool BatchScheduler::awaits_prefix(const Sequence& sequence, std::uint32_t restore, const Prefixes& prefixes) const {
  const bool may_restore = !sequence.spec.no_restore || sequence.prompt_done;
  if (!prefixes.shares || !may_restore || restore + options_.block_tokens >= sequence.tokens) return false;
  return std::any_of(prefixes.prefilling.begin(), prefixes.prefilling.end(), [&](const Sequence* leader) {
    return leader->computed < restore + options_.block_tokens &&
           prefixes.shares(sequence.spec.id, leader->spec.id, restore);
  });
}

std::optional<std::uint32_t> BatchScheduler::make_room(const Sequence& sequence, StepPlan& plan,
                                                       std::uint32_t& budget) {
  if (sequence.claim && open_slots(*sequence.claim) > 0) return sequence.claim;
  if (const auto slot_class = open_class(sequence)) return slot_class;
  Sequence* victim = victim_of(sequence);
  if (victim == nullptr) {
    unservable_from_ = std::min(unservable_from_, own_class(sequence));
    return std::nullopt;
  }
  const std::uint32_t slot_class = victim->slot->slot_class;
  if (open_slots(slot_class) > 0) return slot_class;
  // Its decode token may be planned already; as its priority is lower, no prefill of it is.
  budget += static_cast<std::uint32_t>(
      std::erase_if(plan.work, [&](const Work& item) { return item.id == victim->spec.id; }));
  evict(*victim, plan, /*moving=*/false);
  ++preemptions_;
  return slot_class;
}

/// Whole blocks, and never the last token: its logits are what the next token is sampled from.
std::uint32_t BatchScheduler::restorable_tokens(const Sequence& sequence, const RestorableTokens& restorable) const {
  if (sequence.spec.no_restore && !sequence.prompt_done) return 0;
  // Its blocks reach the store with this step's evictions, which the store cannot know yet.
  const bool evicted_now = sequence.evicted == step_;
  const std::uint32_t held = evicted_now ? sequence.kept : restorable(sequence.spec.id);
  const std::uint32_t tokens = std::min(held, sequence.tokens - 1);
  return tokens - tokens % options_.block_tokens;
}

/// The smallest class with room for the tokens so far and one block of output. More room would be a guess: output
/// lengths are unknown, large slots are few, and a move costs at most one block of recomputed tokens, which that room
/// has earned.
std::uint32_t BatchScheduler::own_class(const Sequence& sequence) const noexcept {
  const std::uint32_t output_left = sequence.spec.tokens_max - std::min(sequence.spec.tokens_max, sequence.tokens);
  const std::uint64_t wanted = std::uint64_t{sequence.tokens} + std::min(output_left, options_.block_tokens);
  for (std::uint32_t i = 0; i < largest_class_; ++i) {
    if (options_.classes[i].slots > 0 && options_.classes[i].tokens_max >= wanted) return i;
  }
  return largest_class_;
}

std::uint32_t BatchScheduler::reserve(std::uint32_t slot_class) const noexcept {
  const bool smallest = std::all_of(options_.classes.begin(), options_.classes.begin() + slot_class,
                                    [](const SlotClass& smaller) { return smaller.slots == 0; });
  if (smallest) return 0;
  return static_cast<std::uint32_t>(
      std::ceil(options_.growth_reserve * static_cast<float>(options_.classes[slot_class].slots)));
}

/// The class in which the sequence may take a free slot now.
std::optional<std::uint32_t> BatchScheduler::open_class(const Sequence& sequence) const noexcept {
  const std::uint32_t own = own_class(sequence);
  const bool patient = step_ - sequence.waiting_since >= kReservePatienceSteps;
  for (std::uint32_t i = own; i < free_.size(); ++i) {
    if (open_slots(i) == 0) continue;
    std::uint32_t kept_free = reserve(i);
    if (i == own) kept_free = sequence.ran || patient ? 0 : std::min(kept_free, options_.classes[i].slots - 1);
    if (open_slots(i) > kept_free) return i;
  }
  return std::nullopt;
}

/// The running sequence that gives way: of those with a lower priority, in a slot that serves, the lowest, then
/// youngest. Null if there is none. Equal priorities never preempt each other.
BatchScheduler::Sequence* BatchScheduler::victim_of(const Sequence& sequence) const noexcept {
  const std::uint32_t own = own_class(sequence);
  // The order is by priority: where an earlier one found no victim, a later one finds none either.
  if (own >= unservable_from_) return nullptr;
  for (auto it = order_.rbegin(); it != order_.rend() && (*it)->spec.priority < sequence.spec.priority; ++it) {
    if ((*it)->slot && (*it)->slot->slot_class >= own && may_be_preempted(**it)) return *it;
  }
  return nullptr;
}

/// Against thrash: what came back stays until it has gained a block, which the next eviction keeps; if nothing of it
/// may be restored, until its prompt is through.
bool BatchScheduler::may_be_preempted(const Sequence& sequence) const noexcept {
  if (sequence.evicted == 0) return true;
  if (sequence.spec.no_restore && !sequence.prompt_done) return false;
  return sequence.residence_tokens >= options_.block_tokens;
}

void BatchScheduler::evict(Sequence& sequence, StepPlan& plan, bool moving) {
  plan.evictions.push_back({sequence.spec.id, *sequence.slot, moving});
  free_slot(sequence);
  sequence.kept = sequence.computed;
  sequence.computed = 0;
  sequence.evicted = step_;
  sequence.moving = moving;
  sequence.waiting_since = step_;
}

void BatchScheduler::take_slot(Sequence& sequence, std::uint32_t slot_class) {
  auto& owners = owners_[slot_class];
  const auto place = std::find(owners.begin(), owners.end(), nullptr);
  *place = &sequence;
  --free_[slot_class];
  ++running_;
  sequence.claim.reset();
  sequence.slot = Slot{slot_class, static_cast<std::uint32_t>(place - owners.begin())};
}

void BatchScheduler::free_slot(Sequence& sequence) {
  owners_[sequence.slot->slot_class][sequence.slot->index] = nullptr;
  ++free_[sequence.slot->slot_class];
  --running_;
  sequence.slot.reset();
  sequence.ran = true;
}

void BatchScheduler::work(const Sequence& sequence, StepPlan& plan, std::uint32_t count) {
  plan.work.push_back({.id = sequence.spec.id,
                       .slot = *sequence.slot,
                       .first = sequence.computed,
                       .count = count,
                       .sample = sequence.computed + count == sequence.tokens});
}

BatchScheduler::Sequence* BatchScheduler::find(const StepOutcome& outcome) {
  if (outcome.slot) {
    Sequence* const owner = owners_[outcome.slot->slot_class][outcome.slot->index];
    if (owner != nullptr && owner->spec.id == outcome.id) return owner;
  }
  const auto found = sequences_.find(outcome.id);
  return found == sequences_.end() ? nullptr : &found->second;
}

void BatchScheduler::update(const std::vector<StepOutcome>& outcomes) {
  // Where a process has many engines (the twin), they push each other's sequences out of the caches.
  for (const StepOutcome& outcome : outcomes) {
    if (outcome.slot) __builtin_prefetch(owners_[outcome.slot->slot_class][outcome.slot->index]);
  }
  for (const StepOutcome& outcome : outcomes) {
    Sequence* const known = find(outcome);
    if (known == nullptr) continue;
    Sequence& sequence = *known;
    if (outcome.finished) {
      constexpr double kNewShare = 1.0 / 16;
      const double output = sequence.tokens + outcome.appended - sequence.spec.prompt_tokens;
      mean_output_ = mean_output_ < 0 ? output : mean_output_ + kNewShare * (output - mean_output_);
      forget(sequence);
      continue;
    }
    if (!sequence.slot) continue;
    if (outcome.restored_tokens) sequence.computed = std::min(sequence.computed, *outcome.restored_tokens);
    const std::uint32_t computed = std::min(outcome.computed, sequence.remaining());
    sequence.computed += computed;
    sequence.residence_tokens += computed;
    if (sequence.computed >= sequence.spec.prompt_tokens) sequence.prompt_done = true;
    if (sequence.remaining() == 0) sequence.tokens += outcome.appended;
  }
}

std::uint32_t BatchScheduler::running() const noexcept { return running_; }

std::uint32_t BatchScheduler::waiting() const noexcept {
  return static_cast<std::uint32_t>(sequences_.size()) - running_;
}

std::uint32_t BatchScheduler::decoding() const noexcept {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(order_, [](const Sequence* sequence) { return sequence->slot && sequence->decoding(); }));
}

std::uint64_t BatchScheduler::waiting_tokens() const noexcept {
  std::uint64_t tokens = 0;
  for (const Sequence* sequence : order_) {
    if (!sequence->slot || !sequence->decoding()) tokens += sequence->remaining();
  }
  return tokens;
}

std::uint64_t BatchScheduler::decode_tokens_left() const noexcept {
  std::uint64_t tokens = 0;
  for (const Sequence* sequence : order_) {
    const SequenceSpec& spec = sequence->spec;
    const std::uint32_t limit = spec.tokens_max - std::min(spec.tokens_max, sequence->tokens);
    const double missing = mean_output_ - (sequence->tokens - spec.prompt_tokens);
    const std::uint32_t expected = mean_output_ < 0 ? limit : static_cast<std::uint32_t>(std::max(1.0, missing));
    tokens += std::min(limit, expected);
  }
  return tokens;
}

std::uint64_t BatchScheduler::cells_used() const noexcept {
  std::uint64_t cells = 0;
  for (const auto& owners : owners_) {
    for (const Sequence* owner : owners) cells += owner == nullptr ? 0 : owner->computed;
  }
  return cells;
}

std::uint64_t BatchScheduler::cells_total() const noexcept {
  std::uint64_t cells = 0;
  for (const SlotClass& slot_class : options_.classes) {
    cells += std::uint64_t{slot_class.slots} * slot_class.tokens_max;
  }
  return cells;
}

std::uint64_t BatchScheduler::preemptions() const noexcept { return preemptions_; }

bool BatchScheduler::check_integrity() const {
  std::uint32_t held = 0;
  for (std::uint32_t i = 0; i < owners_.size(); ++i) {
    std::uint32_t free = 0;
    for (std::uint32_t j = 0; j < owners_[i].size(); ++j) {
      const Sequence* owner = owners_[i][j];
      if (owner == nullptr) {
        ++free;
      } else if (owner->slot != Slot{i, j} || owner->computed > options_.classes[i].tokens_max) {
        return false;
      }
    }
    if (free != free_[i]) return false;
    held += static_cast<std::uint32_t>(owners_[i].size()) - free;
  }
  if (held != running_ || order_.size() != sequences_.size()) return false;
  return std::all_of(sequences_.begin(), sequences_.end(), [&](const auto& entry) {
    const Sequence& sequence = entry.second;
    const bool counts = sequence.computed < sequence.tokens && sequence.tokens >= sequence.spec.prompt_tokens;
    const bool place =
        sequence.slot ? owners_[sequence.slot->slot_class][sequence.slot->index] == &sequence : sequence.computed == 0;
    return counts && place && std::ranges::binary_search(order_, &sequence, Before{});
  });
}

}  // namespace llmd::batching
