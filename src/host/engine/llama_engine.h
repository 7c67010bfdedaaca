#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "llamacpp/context.h"
#include "llamacpp/model.h"

namespace llmd {

/// How an engine is made. Zero means: chosen from the model and the machine.
struct EngineOptions {
  llamacpp::ModelOptions model;
  std::uint32_t threads = 0;  // compute threads; 0: one for each core
  /// Where the weights lie; nothing: see memory_plan.h. Decides `model.pack_weights`.
  std::optional<engine::Weights> weights;
  std::uint64_t kv_bytes = 0;  // KV of running sequences; 0: see memory_plan.h, at most a quarter of the free memory
  /// Host block store (prefix cache), which grows up to it; 0 disables reuse. Nothing: 1 GiB, or what is left.
  std::optional<std::uint64_t> store_bytes;
  bool store_shareable = false;       // its memory may be given to other processes, which then read blocks in place
  std::uint32_t block_tokens = 32;    // 1 to 256
  std::uint32_t step_tokens = 256;    // computed in one step, at most
  double tpot_target_ms = 0;          // of a step that decodes; 0: see batching::StepBudgetOptions
  std::uint32_t context_tokens = 0;   // longest prompt + output; 0: the model's
  bool allow_long_context = false;    // more than the model was trained for: answers beyond that may be nonsense
  std::uint32_t waiting_max = 1'024;  // sequences without a slot; beyond it submit() refuses
  std::uint32_t sequences_max = 256;  // running at once, at most
  llamacpp::Pooling pooling =
      llamacpp::Pooling::kModel;  // of embeddings; kModel: what the file says, none if it is silent
};

/// One GGUF through llama.cpp, in this process. See README.md.
class LlamaEngine final : public Engine {
 public:
  /// Loads the model, allocates all memory, starts the engine's thread. Blocks. Errors: those of Model::load;
  /// kOutOfMemory with the numbers; kConfigInvalid.
  [[nodiscard]] static Result<std::unique_ptr<LlamaEngine>> make(const EngineOptions& options);
  ~LlamaEngine() override;  // as shut_down(0)

  /// The loaded model, for a tokenizer on it.
  [[nodiscard]] const std::shared_ptr<const llamacpp::Model>& model() const noexcept;

  [[nodiscard]] const EngineInfo& info() const noexcept override;
  [[nodiscard]] EngineLoad load() const override;
  [[nodiscard]] Result<SequenceId> submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink) override;
  void cancel(SequenceId sequence) override;
  void set_step_sink(std::shared_ptr<StepSink> sink) override;
  [[nodiscard]] std::vector<BlockData> export_blocks(const std::vector<BlockId>& ids) override;
  [[nodiscard]] Result<void> import_blocks(std::vector<BlockData> blocks) override;
  [[nodiscard]] kvstore::BlockStore* block_store() noexcept override;
  [[nodiscard]] std::vector<BlockId> block_ids(const std::vector<TokenId>& prompt,
                                               const std::string& cache_salt) const override;
  void shut_down(std::chrono::milliseconds deadline) override;

 private:
  struct Impl;
  explicit LlamaEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd
