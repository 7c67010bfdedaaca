#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "batching/batch_scheduler.h"
#include "engine/llama/context_set.h"
#include "engine/llama/event_batch.h"
#include "engine/llama/kv_blocks.h"
#include "engine/llama/sampler.h"
#include "engine/llama/sequence.h"
#include "llamacpp/context.h"
#include "llamacpp/vocab.h"

namespace llmd::engine {

using SequenceTable = std::unordered_map<SequenceId, std::unique_ptr<Sequence>>;

/// Counters since the start, see EngineLoad.
struct StepCounters {
  std::uint64_t prefix_queries_tokens = 0;
  std::uint64_t prefix_hits_tokens = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t steps = 0;
};

/// Carries a StepPlan out: evictions, admissions, one batch a class, sampling. Engine's thread.
class StepRunner {
 public:
  struct Parts {
    std::unique_ptr<ContextSet> contexts;  // null: the model does not generate
    std::unique_ptr<KvBlocks> blocks;      // null: no block reuse
    std::shared_ptr<const llamacpp::Model> model;
    std::uint32_t outputs_max = 64;  // of one decode
  };
  explicit StepRunner(Parts parts) : parts_{std::move(parts)}, vocab_{parts_.model} {}

  struct Result {
    std::vector<batching::StepOutcome> outcomes;
    std::vector<SequenceId> finished;  // their finishing events are in the batch
    std::vector<SequenceId> admitted;  // for the first time
  };
  [[nodiscard]] Result run(const batching::StepPlan& plan, SequenceTable& sequences, EventBatch& events);

  [[nodiscard]] std::uint32_t restorable_tokens(const Sequence& sequence) {
    return parts_.blocks ? parts_.blocks->restorable_tokens(sequence) : 0;
  }
  [[nodiscard]] bool share_block(const Sequence& a, const Sequence& b, std::uint32_t first) const {
    return parts_.blocks && parts_.blocks->share_block(a, b, first);
  }
  void clear(batching::Slot slot) { parts_.contexts->clear(slot); }
  void clear_all() {
    if (parts_.contexts) parts_.contexts->clear_all();
  }

  [[nodiscard]] const StepCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] KvBlocks* blocks() noexcept { return parts_.blocks.get(); }
  [[nodiscard]] const KvBlocks* blocks() const noexcept { return parts_.blocks.get(); }

 private:
  struct Job {
    batching::Work work;
    Sequence* sequence = nullptr;
    std::size_t output_row = 0;
  };
  void evict(const batching::Eviction& eviction, Sequence& sequence);
  /// The tokens restored.
  std::uint32_t admit(const batching::Admission& admission, Sequence& sequence, Result& result);
  void run_class(std::uint32_t slot_class, std::vector<Job>& jobs, EventBatch& events, Result& result);
  void run_with_prompt_logprobs(std::uint32_t slot_class, Job& job, EventBatch& events, Result& result);
  void keep_prompt_logprobs(const Job& job, std::uint32_t first, std::uint32_t count);
  void complete(const Job& job, EventBatch& events, Result& result);
  [[nodiscard]] llmd::Result<SequenceEvent> sample(const Job& job);
  void add_output(Sequence& sequence, const Sampler::Choice& choice, SequenceEvent& event);
  [[nodiscard]] TokenLogprob named(const Logprob& logprob) const;
  [[nodiscard]] TokenLogprobs named(TokenId token, const TokenChances& chances) const;
  void fail_job(const Job& job, const Error& error, EventBatch& events, Result& result);
  [[nodiscard]] llamacpp::BatchRow row_of(const Job& job, std::uint32_t position) const;

  Parts parts_;
  llamacpp::Vocab vocab_;
  SamplerScratch scratch_;
  std::vector<llamacpp::BatchRow> rows_;
  StepCounters counters_;
};

}  // namespace llmd::engine
