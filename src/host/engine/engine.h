#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/ids.h"
#include "batching/batch_scheduler.h"
#include "kvstore/block.h"
#include "model/block_id.h"
#include "model/generation.h"

namespace llmd {

namespace kvstore {
class BlockStore;
}

/// What a sequence is to do. Tokens in, tokens out: no HTTP, no JSON, no chat template.
struct SequenceRequest {
  std::string request_id;        // for logs
  std::vector<TokenId> prompt;   // not empty
  std::uint32_t max_tokens = 0;  // 0: up to the end of the context. Prefill semantics: 1
  SamplingParams sampling;
  std::vector<std::string> stop;  // output ends before the first of these; no part of one is ever emitted
  std::int32_t priority = 0;      // higher first
  std::string cache_salt;         // blocks are shared only between equal salts
  std::optional<std::uint32_t>
      prompt_logprobs;  // given: report logprobs of the prompt's tokens and so many alternatives (echo)
  bool embed = false;   // pooled embedding of the prompt instead of generation
};

/// At most one generated token as text. `text` is whole characters only and free of any part of a stop string, so it
/// may lag behind the token: then an output without a token, one for each that is held back, comes before a later
/// token's.
struct TokenOutput {
  TokenId token = -1;
  std::string text;
  /// If asked for: of the tokens that are now shown whole. Their texts make up the answer's, no more: what is held back
  /// waits, a token that a stop string cuts has its shown part only, and tokens without text (the end) have none.
  std::vector<TokenLogprobs> logprobs;
};

struct SequenceUsage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;  // of them, not computed for it: found in the store
  std::uint32_t completion_tokens = 0;
};

/// When a sequence got where, by the engine's clock. What did not come about is empty.
struct SequenceTimes {
  TimePoint queued{};                    // submit()
  std::optional<TimePoint> scheduled;    // its first slot; a preemption later does not count
  std::optional<TimePoint> first_token;  // of an embedding: when it was computed
  std::optional<TimePoint> last_token;   // so far
};

/// One step of one sequence. After an event with `finish`, nothing more comes for it.
struct SequenceEvent {
  SequenceId sequence;
  std::vector<TokenOutput> tokens;  // usually one
  std::vector<std::optional<TokenLogprobs>>
      prompt_logprobs;           // once, with the first event, if asked for; the first token has none
  std::vector<float> embedding;  // once, for embed
  std::optional<FinishReason> finish;
  std::optional<Error> error;              // with finish == kError
  std::optional<std::string> stop_string;  // the one that ended it
  SequenceUsage usage;
  SequenceTimes times;  // with finish
};

/// Receives the events of a sequence. Called on the engine's thread: must not block and must not call back into the
/// engine.
class SequenceSink {
 public:
  virtual ~SequenceSink() = default;
  /// All events of one engine step for the sequences that share this sink.
  virtual void on_events(std::vector<SequenceEvent>&& events) = 0;
};

/// What one step did, embeddings apart.
struct StepFacts {
  std::uint32_t prompt_tokens = 0;     // computed
  std::uint32_t generated_tokens = 0;  // sampled
};

/// Receives what each step did. Called on the engine's thread: must not block.
class StepSink {
 public:
  virtual ~StepSink() = default;
  virtual void on_step(const StepFacts& step) noexcept = 0;
};

/// Values for /metrics and for the scheduler, all as of the last step.
struct EngineLoad {
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint32_t waiting_tokens = 0;         // prompt tokens not computed yet, of waiting and running sequences
  std::uint64_t decode_tokens_left = 0;     // that all sequences will probably still make
  float kv_usage = 0;                       // slot cells in use over all cells, 0..1
  std::uint64_t prefix_queries_tokens = 0;  // counters since the start
  std::uint64_t prefix_hits_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t steps = 0;
  std::uint64_t store_blocks = 0;
  std::uint64_t store_bytes = 0;
  std::uint64_t store_evictions = 0;
  bool block_reuse = true;  // false for sliding-window, recurrent and hybrid models
};

/// What an engine is: fixed after loading.
struct EngineInfo {
  std::string model_name;
  Digest256 model_fingerprint{};
  std::uint32_t context_tokens = 0;        // longest prompt + output
  std::uint32_t block_tokens = 0;          // tokens a block
  std::uint64_t block_bytes = 0;           // bytes of one block's KV
  std::uint32_t sequences_max = 0;         // running at once
  std::vector<batching::SlotClass> slots;  // what those are
  bool llama_steps = true;                 // see HardwareProfile
  std::uint64_t kv_bytes = 0;              // device KV
  std::uint64_t store_bytes_max = 0;       // host block store
  bool embeddings = false;
};

/// KV of one block, as `engine` lays it out (see engine/README.md): block_bytes bytes, opaque outside. The handle keeps
/// the bytes in place.
struct BlockData {
  BlockId id;
  kvstore::BlockHandle bytes;
};

/// One model, ready to run sequences. Thread-safe: calls post to the engine's own thread, which alone touches the
/// model.
class Engine {
 public:
  virtual ~Engine() = default;

  [[nodiscard]] virtual const EngineInfo& info() const noexcept = 0;
  [[nodiscard]] virtual EngineLoad load() const = 0;

  /// Queues a sequence. Errors at once: kContextLengthExceeded, kOverloaded (the queue is full), kUnsupported,
  /// kInvalidGrammar, kShuttingDown. The sink must live until the finishing event.
  [[nodiscard]] virtual Result<SequenceId> submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink) = 0;

  /// Its slot is free before the next batch. A finishing event (kCancelled) follows unless one is on its way. Unknown
  /// ids are ignored.
  virtual void cancel(SequenceId sequence) = 0;

  /// From the next step on, steps are told to `sink` instead of the one before. Null: to nobody.
  virtual void set_step_sink(std::shared_ptr<StepSink> sink) = 0;

  /// The blocks of `ids` that the store holds, in order, up to the first that it lacks. Thread-safe, does not wait for
  /// a step.
  [[nodiscard]] virtual std::vector<BlockData> export_blocks(const std::vector<BlockId>& ids) = 0;

  /// Puts received blocks, one chain in order from its first block, into the store (a copy; blocks already held cost a
  /// look-up). Error kBlockMismatch if a size is wrong; the checksum is the transport's business.
  [[nodiscard]] virtual Result<void> import_blocks(std::vector<BlockData> blocks) = 0;

  /// The store itself, for a transport that receives straight into its buffers (reserve, commit) or leases blocks of
  /// it. Null if the model has no block reuse. Lives as long as the engine; thread-safe.
  [[nodiscard]] virtual kvstore::BlockStore* block_store() noexcept = 0;

  /// The block ids of a prompt in this engine's scope.
  [[nodiscard]] virtual std::vector<BlockId> block_ids(const std::vector<TokenId>& prompt,
                                                       const std::string& cache_salt) const = 0;

  /// Refuses new sequences, lets the running ones finish until the deadline, then ends them. Blocks.
  virtual void shut_down(std::chrono::milliseconds deadline) = 0;
};

}  // namespace llmd
