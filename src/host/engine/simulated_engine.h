#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/llama/event_batch.h"
#include "engine/sim/answer_words.h"
#include "engine/sim/block_events.h"
#include "engine/sim/simulated_sequence.h"
#include "model/kv_event.h"
#include "runtime/loop.h"
#include "simulation/engine.h"
#include "simulation/hardware_profile.h"

namespace llmd {

struct SimulatedEngineOptions {
  std::string model_name;
  simulation::HardwareProfile profile{};
  std::uint32_t output_tokens = 128;  // of an answer for which the request sets no limit
  std::shared_ptr<const engine::AnswerWords> words{};
  std::shared_ptr<KvEventSink> kv_events{};  // hears what the prefix cache takes up and gives away; may be null
};

/// The digital twin's engine in real time: its batching, block store and step times are those of simulation::SimEngine,
/// its tokens are words of a small list. An answer follows from the prompt, the seed and the salt alone, and is as long
/// as max_tokens says. Blocks are counted and named, but there are no bytes of them: others are told their names.
///
/// Unlike an engine that computes it has no thread: it belongs to `loop`, where all calls come from and its timer
/// fires. A thousand of them can share one loop. Steps that end late because the loop was busy do not make the next
/// ones later (kLatenessMax).
class SimulatedEngine final : public Engine {
 public:
  /// Lateness that following steps make up for. What goes beyond it, as when the process was stopped, is lost.
  static constexpr milliseconds kLatenessMax{100};

  SimulatedEngine(Loop& loop, SimulatedEngineOptions options);
  ~SimulatedEngine() override = default;

  [[nodiscard]] const EngineInfo& info() const noexcept override { return info_; }
  [[nodiscard]] EngineLoad load() const override;
  /// Errors also: kUnsupported (embeddings, logprobs, grammars).
  [[nodiscard]] Result<SequenceId> submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink) override;
  void cancel(SequenceId sequence) override;
  void set_step_sink(std::shared_ptr<StepSink> sink) override { step_sink_ = std::move(sink); }
  [[nodiscard]] std::vector<BlockData> export_blocks(const std::vector<BlockId>& /*ids*/) override { return {}; }
  [[nodiscard]] Result<void> import_blocks(std::vector<BlockData> blocks) override;
  [[nodiscard]] kvstore::BlockStore* block_store() noexcept override { return nullptr; }
  [[nodiscard]] std::vector<BlockId> block_ids(const std::vector<TokenId>& prompt,
                                               const std::string& cache_salt) const override;
  /// How many leading blocks of a chain of block_ids() the prefix cache has.
  [[nodiscard]] std::size_t held_blocks(std::span<const BlockId> chain) const;
  /// The leading `blocks` blocks of the prompt came from another engine: they are cached as if computed here. Pre: that
  /// many are whole.
  void receive_blocks(std::span<const TokenId> prompt, const std::string& cache_salt, std::size_t blocks);
  /// Empties the prefix cache.
  void clear_blocks();
  /// What a token's KV takes, and how it comes from other engines.
  [[nodiscard]] const simulation::HardwareProfile& profile() const noexcept { return options_.profile; }

  /// At once, whatever the deadline.
  void shut_down(std::chrono::milliseconds deadline) override;

  /// Steps from the next one on take `factor` times what the profile says.
  void set_slowness(double factor) noexcept { slowness_ = factor; }
  [[nodiscard]] double slowness() const noexcept { return slowness_; }

 private:
  using Sequence = engine::SimulatedSequence;
  struct Arrival {
    TimePoint ready{};  // when the engine has it
    SequenceId id;
  };

  [[nodiscard]] Result<void> check(const SequenceRequest& request) const;
  [[nodiscard]] std::unique_ptr<Sequence> prepare(SequenceId id, SequenceRequest&& request,
                                                  std::shared_ptr<SequenceSink>&& sink) const;
  [[nodiscard]] BlockScope scope(std::string_view salt) const noexcept { return {info_.model_fingerprint, {}, salt}; }
  void arm();
  void advance(TimePoint now);
  void join_arrivals();
  void begin_step();
  void end_step();
  void tell(const simulation::EngineEvent& event);
  void tell_blocks(const engine::BlockSource& received = {});
  void end(Sequence& sequence, FinishReason reason, std::optional<Error> error = {});

  const SimulatedEngineOptions options_;
  const Duration host_delay_;  // from submit() until the engine has the request, see README.md
  EngineInfo info_;
  simulation::SimEngine model_;
  Timer timer_;
  std::unordered_map<SequenceId, std::unique_ptr<Sequence>> sequences_;
  std::deque<Arrival> arrivals_;       // in order of `ready`
  std::vector<SequenceId> cancelled_;  // while a step is under way: when it ends
  engine::EventBatch events_;
  std::shared_ptr<StepSink> step_sink_;
  std::uint64_t next_id_ = 1;
  double slowness_ = 1;
  bool stepping_ = false;
  bool closing_ = false;
  TimePoint step_began_{};
  TimePoint clock_{};  // of the engine: up to where steps are carried out, or the end of the one under way
};

}  // namespace llmd
