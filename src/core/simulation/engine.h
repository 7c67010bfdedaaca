#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "batching/batch_scheduler.h"
#include "batching/step_budget.h"
#include "kvpolicy/block_lru.h"
#include "simulation/hardware_profile.h"
#include "simulation/llama_batches.h"
#include "simulation/workload.h"

namespace llmd::simulation {

/// What a step did to one sequence.
struct EngineEvent {
  std::uint64_t request = 0;
  std::uint32_t cached_tokens = 0;  // of the prompt, restored at its first admission
  bool first_token = false;
  bool finished = false;
  bool admitted = false;  // it had its first slot in this step; of tell_tokens() only
  bool token = false;     // it made one
};

/// A block that the store took up or gave away.
struct BlockChange {
  std::uint64_t block = 0;
  bool stored = false;
  std::uint32_t index = 0;    // stored: its place in the blocks of
  std::uint64_t request = 0;  // this request
};

/// What the engine's metrics say.
struct EngineLoadView {
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  float kv_usage = 0;
  std::uint64_t prefix_query_tokens = 0;  // counters since the start
  std::uint64_t prefix_hit_tokens = 0;
};

/// What a worker's metrics say beside that. Counters are since the start.
struct EngineTotals {
  std::uint64_t waiting_tokens = 0;      // prompt tokens not computed yet
  std::uint64_t decode_tokens_left = 0;  // that all requests will probably still make
  std::uint64_t preemptions = 0;
  std::uint64_t prompt_tokens = 0;  // computed
  std::uint64_t generation_tokens = 0;
  std::uint64_t steps = 0;
  std::uint64_t store_blocks = 0;
  std::uint64_t store_evictions = 0;
};

/// One engine in virtual time: the real BatchScheduler and the real block policy, with token counts instead of KV.
/// Drive it: while busy(), begin_step() says how long the step takes, end_step() carries it out.
class SimEngine {
 public:
  /// `profile` must outlive it. Pre: the block size of the workload is a multiple of the profile's, or equal.
  SimEngine(const HardwareProfile& profile, std::uint32_t block_tokens, bool records_blocks);
  /// Goes on by itself from where the other stands, also from within a step. O(requests + blocks).
  SimEngine(const SimEngine& other);
  SimEngine& operator=(const SimEngine&) = delete;
  ~SimEngine() = default;

  /// The request joins the queue. False: the queue is full, or it is longer than any slot. `request` must live until
  /// it has finished. `output_tokens`: at least 1.
  [[nodiscard]] bool submit(const SimRequest& request, std::uint32_t output_tokens);
  /// Forgets a request that has not finished. Pre: no step is under way. Unknown ones: nothing.
  void cancel(std::uint64_t request);
  /// From now on each token has its event, and so has each first admission; else only first and last tokens have.
  void tell_tokens() noexcept { tells_tokens_ = true; }
  /// The blocks of the first `tokens` tokens come from elsewhere (a prefill endpoint).
  void import_blocks(const SimRequest& request, std::uint32_t tokens);
  /// Leading tokens of its prompt whose blocks the store has.
  [[nodiscard]] std::uint32_t held_tokens(const SimRequest& request) const {
    return restorable_blocks(request) * block_tokens_;
  }

  [[nodiscard]] bool busy() const noexcept { return !sequences_.empty(); }
  /// Pre: busy(), and no step is under way.
  [[nodiscard]] Duration begin_step();
  /// `took`: the step's time, if it was another than begin_step() said, as on a core that others share. Pre:
  /// begin_step() was called. The events are valid until the next call.
  [[nodiscard]] const std::vector<EngineEvent>& end_step(std::optional<Duration> took = {});

  [[nodiscard]] EngineLoadView load() const;
  /// O(requests).
  [[nodiscard]] EngineTotals totals() const;
  /// Since the last call; empty unless blocks are recorded.
  [[nodiscard]] std::vector<BlockChange> take_block_changes();
  /// Forgets all blocks, not as changes. What requests under way have computed they keep in their slots.
  void clear_blocks();
  /// Forgets everything: requests and blocks.
  void restart();

 private:
  struct Sequence {
    const SimRequest* request = nullptr;
    std::optional<batching::Slot> slot{};
    std::uint32_t output_tokens = 0;
    std::uint32_t computed = 0;  // tokens with KV in the slot
    std::uint32_t tokens = 0;    // prompt and output so far
    std::uint32_t stored = 0;    // leading blocks given to the store
    std::uint32_t cached_tokens = 0;
    // Of the request, which is mostly in no cache any more when its sequence makes a token.
    std::uint32_t prompt_tokens = 0;
    std::uint32_t blocks = 0;
    bool admitted = false;
  };

  [[nodiscard]] static SequenceId sequence_id(std::uint64_t request) noexcept { return SequenceId{request}; }
  [[nodiscard]] std::uint32_t restorable_blocks(const SimRequest& request) const;
  void learn_step(double seconds);
  [[nodiscard]] bool is_decode(const batching::Work& work) {
    return work.count == 1 && work.first >= at(work.slot)->prompt_tokens;
  }
  [[nodiscard]] double work_seconds();
  [[nodiscard]] LlamaBatches llama_batches_of_plan();
  bool store_block(const SimRequest& request, std::uint32_t index);
  void store_computed(Sequence& sequence);
  void note(const BlockChange& change) {
    if (records_blocks_) changes_.push_back(change);
  }

  const HardwareProfile& profile_;
  const std::uint32_t block_tokens_;
  const bool records_blocks_;
  bool tells_tokens_ = false;
  batching::BatchScheduler scheduler_;
  batching::StepBudget step_budget_{{}};  // of llama_steps
  std::vector<SlotRows> rows_;            // scratch of the same
  kvpolicy::BlockLru store_;
  [[nodiscard]] Sequence*& at(batching::Slot slot) { return by_slot_[slot.slot_class][slot.index]; }

  std::unordered_map<std::uint64_t, Sequence> sequences_;
  std::vector<std::vector<Sequence*>> by_slot_;  // who has it in the step under way; null: nobody, or one that is gone
  batching::StepPlan plan_;
  double plan_s_ = 0;  // its time
  std::vector<batching::StepOutcome> outcomes_;
  std::vector<EngineEvent> events_;
  std::vector<BlockChange> changes_;
  std::uint64_t query_tokens_ = 0;
  std::uint64_t hit_tokens_ = 0;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t generation_tokens_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t store_evictions_ = 0;
};

}  // namespace llmd::simulation
