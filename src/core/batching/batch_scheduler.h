#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace llmd::batching {

/// Slots of one size. A slot holds the KV of one sequence (one llama.cpp stream). Classes are ordered by `tokens_max`,
/// smallest first.
struct SlotClass {
  std::uint32_t slots = 0;
  std::uint32_t tokens_max = 0;
  friend bool operator==(const SlotClass&, const SlotClass&) = default;
};

/// A slot: which class, which index in it.
struct Slot {
  std::uint32_t slot_class = 0;
  std::uint32_t index = 0;
  friend bool operator==(Slot, Slot) = default;
};

struct BatchingOptions {
  std::vector<SlotClass> classes;
  std::uint32_t step_tokens_max = 512;    // token budget of one step
  std::uint32_t prefill_chunk_max = 512;  // of one sequence in one step
  std::uint32_t waiting_max = 1'024;      // sequences; beyond it add() refuses
  std::uint32_t block_tokens = 32;  // a resumed or moved sequence restores whole blocks, so the tail is recomputed
  /// Watermark, 0..1: the share of a class's slots (rounded up) kept free for running sequences that outgrow a smaller
  /// class. The smallest class keeps none. A sequence that fits a smaller class borrows a larger slot only above the
  /// watermark; one that needs the class may use all but the rest of it, always at least one slot, and after
  /// kReservePatienceSteps all of it.
  float growth_reserve = 0.0F;
};

/// After so many steps in the queue a sequence that needs a class ignores the watermark, so that a stream of growing
/// short sequences cannot hold back a long one for ever.
inline constexpr std::uint64_t kReservePatienceSteps = 64;

struct SequenceSpec {
  SequenceId id;
  std::uint32_t prompt_tokens = 0;  // >= 1
  std::uint32_t tokens_max =
      0;  // prompt + output at most; the caller finishes it there. Equal to the prompt: no output wanted
  std::int32_t priority = 0;  // higher first; equal: earlier first
  /// Every prompt token must be computed here (prompt logprobs, embeddings): the first admission restores nothing. Once
  /// the whole prompt was computed, a resume may restore; before that, a resume starts at 0 again.
  bool no_restore = false;
};

/// How many leading tokens of a sequence's prompt + output can be restored from the block store right now (whole
/// blocks). Pure from the scheduler's view: called during schedule() at most once a sequence a step.
using RestorableTokens = std::function<std::uint32_t(SequenceId)>;

/// Whether the block of tokens that begins at `first` has one name in both sequences: it and all before it are the
/// same, so what one of them computes the other may restore. Pure from the scheduler's view. Empty: nothing is shared.
using SharesBlock = std::function<bool(SequenceId, SequenceId, std::uint32_t first)>;

/// A sequence gets a slot: restore `restore_tokens` tokens from the store into the empty slot; computing starts after
/// them.
struct Admission {
  SequenceId id;
  Slot slot;
  std::uint32_t restore_tokens = 0;
  bool resumed = false;  // it ran before (preempted or moved)
};

/// A sequence loses its slot: save its full blocks to the store, then clear the slot. Carried out before admissions.
struct Eviction {
  SequenceId id;
  Slot slot;
  bool moving = false;  // it outgrew its slot; an Admission to a larger one follows in this step or a later one
};

/// Tokens [first, first + count) of a sequence run in this step. With `sample`, the last one's logits give the next
/// token.
struct Work {
  SequenceId id;
  Slot slot;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  bool sample = false;
};

/// What one engine step does, in this order: evictions, admissions, then one batch a class.
struct StepPlan {
  std::vector<Eviction> evictions;
  std::vector<Admission> admissions;
  std::vector<Work> work;  // decode tokens first, then prefill chunks
  [[nodiscard]] bool empty() const noexcept { return evictions.empty() && admissions.empty() && work.empty(); }
};

/// What a step did to one sequence.
struct StepOutcome {
  SequenceId id;
  std::uint32_t computed = 0;  // tokens of the Work that were computed (count, or 0 if the batch failed)
  std::uint32_t appended = 0;  // tokens sampled: 0 or 1
  bool finished = false;       // the slot is free now
  /// The restore of this step's Admission gave fewer tokens than planned (a block was gone or did not verify).
  std::optional<std::uint32_t> restored_tokens;
  std::optional<Slot> slot{};  // of the Work: then it is found without a look-up by id
};

/// Continuous batching with chunked prefill: decides what each engine step runs. Not thread-safe, no I/O, no clock.
/// Decode tokens come first, then prefill in order of (priority, arrival), all under one token budget.
/// A sequence that needs a larger slot, or gives way to a higher priority, goes out through the block store and comes
/// back by restore; it is never dropped. A prefix that several sequences begin with is computed by one of them. A
/// sequence without a slot holds nothing that another waits for, so nothing can deadlock, and each step of a non-empty
/// scheduler computes at least one token. README.md has the rules of slots, order, shared prefixes and preemption.
/// Cost: schedule() O(sequences + prefilling x waiting ones with a slot to take), about 200 bytes a sequence; at most
/// waiting_max + slots sequences.
class BatchScheduler {
 public:
  explicit BatchScheduler(BatchingOptions options);
  /// Goes on by itself from where the other stands. O(sequences).
  BatchScheduler(const BatchScheduler& other);
  BatchScheduler(BatchScheduler&&) = default;
  BatchScheduler& operator=(const BatchScheduler&) = delete;
  BatchScheduler& operator=(BatchScheduler&&) = default;
  ~BatchScheduler() = default;

  /// Errors: kOverloaded (queue full), kContextLengthExceeded (prompt_tokens leaves no room for one wanted output token
  /// in the largest class), kInternal (the id is known already, or the prompt is empty).
  [[nodiscard]] Result<void> add(const SequenceSpec& spec);

  /// Forgets the sequence and frees its slot. Returns the slot it had, for the engine to clear. Unknown ids: nothing.
  std::optional<Slot> remove(SequenceId id);

  /// From now on a step in which sequences decode prefills at most so many tokens; 0: none (StepBudget).
  void limit_prefill(std::uint32_t tokens) noexcept { prefill_limit_ = tokens; }

  /// The next step. Empty only if there is no sequence. Pre: update() was called for the step before.
  [[nodiscard]] StepPlan schedule(const RestorableTokens& restorable, const SharesBlock& shares = {});

  /// What the step did: one outcome for each sequence with work, and one for each admission whose restore fell short
  /// (then `computed` counts from `restored_tokens`; 0 if the planned work was skipped). Sequences removed meanwhile
  /// are ignored.
  void update(const std::vector<StepOutcome>& outcomes);

  [[nodiscard]] std::uint32_t running() const noexcept;   // hold a slot
  [[nodiscard]] std::uint32_t waiting() const noexcept;   // hold none
  [[nodiscard]] std::uint32_t decoding() const noexcept;  // hold one, and lack nothing but their newest token
  /// Tokens to prefill before all sequences decode (for one that is out, all of its tokens). O(sequences).
  [[nodiscard]] std::uint64_t waiting_tokens() const noexcept;
  /// Tokens that its sequences will probably still sample: what lacks to the mean output of those that finished of
  /// late, at least one and at most what each may. Until one has finished: what each may. O(sequences).
  [[nodiscard]] std::uint64_t decode_tokens_left() const noexcept;
  [[nodiscard]] std::uint64_t cells_used() const noexcept;
  [[nodiscard]] std::uint64_t cells_total() const noexcept;
  [[nodiscard]] std::uint64_t preemptions() const noexcept;  // since the start; moves not counted
  [[nodiscard]] const BatchingOptions& options() const noexcept { return options_; }

  /// Slots and counts agree with the sequences. For tests, and on idle in debug builds.
  [[nodiscard]] bool check_integrity() const;

 private:
  struct Sequence {
    SequenceSpec spec;
    std::uint64_t arrival = 0;
    std::uint32_t tokens = 0;    // prompt and sampled ones
    std::uint32_t computed = 0;  // leading tokens whose KV is in the slot
    std::optional<Slot> slot;
    std::optional<std::uint32_t> claim;  // the class of the slot that it would have, did it not await a prefix
    std::uint64_t waiting_since = 0;     // step; meaningful without a slot
    std::uint64_t evicted = 0;           // the step that took its slot, 0 if none did
    std::uint32_t kept = 0;              // computed tokens at that eviction
    std::uint32_t residence_tokens = 0;  // computed since it got this slot
    bool ran = false;                    // had a slot before
    bool prompt_done = false;            // the whole prompt was computed once
    bool moving = false;                 // evicted because it outgrew its slot

    [[nodiscard]] std::uint32_t remaining() const noexcept { return tokens - computed; }
    [[nodiscard]] bool decoding() const noexcept { return remaining() == 1 && tokens > spec.prompt_tokens; }
  };
  struct Before {
    bool operator()(const Sequence* a, const Sequence* b) const noexcept {
      if (a->spec.priority != b->spec.priority) return a->spec.priority > b->spec.priority;
      return a->arrival < b->arrival;
    }
  };

  [[nodiscard]] std::uint32_t slot_tokens(Slot slot) const noexcept {
    return options_.classes[slot.slot_class].tokens_max;
  }
  [[nodiscard]] std::uint32_t own_class(const Sequence& sequence) const noexcept;
  [[nodiscard]] std::uint32_t reserve(std::uint32_t slot_class) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> open_class(const Sequence& sequence) const noexcept;
  [[nodiscard]] Sequence* victim_of(const Sequence& sequence) const noexcept;
  [[nodiscard]] bool may_be_preempted(const Sequence& sequence) const noexcept;
  [[nodiscard]] std::uint32_t restorable_tokens(const Sequence& sequence, const RestorableTokens& restorable) const;
  [[nodiscard]] std::uint32_t chunk_tokens(const Sequence& sequence, std::uint32_t budget, bool first) const noexcept;

  void evict_outgrown(StepPlan& plan);
  [[nodiscard]] std::uint32_t plan_decodes(StepPlan& plan);
  struct Prefixes {
    const RestorableTokens& restorable;
    const SharesBlock& shares;
    std::vector<const Sequence*> prefilling{};  // in a slot, before the sequence that is looked at
  };
  void plan_prefills(StepPlan& plan, std::uint32_t budget, Prefixes& prefixes);
  bool admit(Sequence& sequence, StepPlan& plan, std::uint32_t& budget, const Prefixes& prefixes);
  [[nodiscard]] bool awaits_prefix(const Sequence& sequence, std::uint32_t restore, const Prefixes& prefixes) const;
  /// A slot of the class, or a victim's: the class where one is free now. Empty: the sequence gets none in this step.
  [[nodiscard]] std::optional<std::uint32_t> make_room(const Sequence& sequence, StepPlan& plan, std::uint32_t& budget);
  [[nodiscard]] std::uint32_t open_slots(std::uint32_t slot_class) const noexcept {
    return free_[slot_class] - claimed_[slot_class];
  }
  [[nodiscard]] Sequence* find(const StepOutcome& outcome);
  void evict(Sequence& sequence, StepPlan& plan, bool moving);
  void take_slot(Sequence& sequence, std::uint32_t slot_class);
  void free_slot(Sequence& sequence);
  static void work(const Sequence& sequence, StepPlan& plan, std::uint32_t count);
  void forget(Sequence& sequence);

  BatchingOptions options_;
  std::uint32_t largest_class_ = 0;
  std::unordered_map<SequenceId, Sequence> sequences_;
  std::vector<Sequence*> order_;                // all of them, sorted by Before: walked in every step
  std::vector<std::vector<Sequence*>> owners_;  // [class][index], null: free
  std::vector<std::uint32_t> free_;             // slots a class
  std::vector<std::uint32_t> claimed_;          // of them, in this step kept for sequences that await a prefix
  std::uint32_t running_ = 0;
  std::uint32_t prefill_limit_ = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t step_ = 0;
  std::uint64_t arrivals_ = 0;
  std::uint64_t preemptions_ = 0;
  double mean_output_ = -1;            // tokens of the sequences that finished of late; below 0: none has
  std::uint32_t unservable_from_ = 0;  // in this step: needs of this class or larger found no slot and no victim
};

}  // namespace llmd::batching
