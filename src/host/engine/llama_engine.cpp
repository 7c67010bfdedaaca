#include "engine/llama_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <utility>

#include "engine/llama/engine_loop.h"
#include "engine/llama/slot_plan.h"
#include "engine/memory_plan.h"
#include "llamacpp/grammar.h"
#include "llamacpp/model_facts.h"
#include "llamacpp/thread_pool.h"
#include "llamacpp/vocab.h"
#include "model/context_limit.h"
#include "telemetry/log.h"

namespace llmd {
namespace {

/// Part of every block's name: raise it when the layout of blocks changes.
constexpr std::string_view kBlockLayoutVersion = "llmd-kv-1";

std::uint32_t round_up(std::uint32_t value, std::uint32_t grain) { return (value + grain - 1) / grain * grain; }

Result<void> check_options(const EngineOptions& options) {
  if (options.block_tokens < 1 || options.block_tokens > 256) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("block_tokens is {}; expected 1 to 256", options.block_tokens));
  }
  if (options.step_tokens < 1 || options.step_tokens > llamacpp::Context::kRowsMax) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("step_tokens is {}; expected 1 to {}", options.step_tokens, llamacpp::Context::kRowsMax));
  }
  if (options.sequences_max < 1) return fail(ErrorCode::kConfigInvalid, "sequences_max is 0; expected 1 to 256");
  return {};
}

/// What a block's bytes depend on, beside its tokens and salt.
Digest256 block_fingerprint(const llamacpp::Model& model, const std::string& kv_signature, std::uint32_t block_tokens) {
  Sha256 hash;
  hash.update(kBlockLayoutVersion);
  hash.update(std::as_bytes(std::span{model.info().fingerprint}));
  const std::string_view numerics = model.numerics() == llamacpp::Numerics::kFast ? "fast" : "exact";
  hash.update(fmt::format(" {} {} {} {}", block_tokens, kv_signature, numerics, llamacpp::build_signature()));
  return hash.finish();
}

/// What make() builds before the thread starts.
struct Built {
  std::shared_ptr<const llamacpp::Model> model;
  std::unique_ptr<llamacpp::ThreadPool> threads;
  engine::EngineLoop::Parts parts;
  EngineInfo info;
};

bool pools(const EngineOptions& options, const llamacpp::ModelFacts& facts) {
  return options.pooling == llamacpp::Pooling::kModel ? facts.has_pooling : options.pooling != llamacpp::Pooling::kNone;
}

Result<void> build_embedder(const EngineOptions& options, const llamacpp::ModelFacts& facts, Built& built) {
  if (!pools(options, facts)) return {};
  const std::uint32_t tokens =
      std::min(round_up(facts.context_tokens, engine::kSlotGrain), engine::Embedder::kTokensMax);
  LLMD_TRY(auto context, llamacpp::Context::make(built.model, *built.threads,
                                                 {.slots = 1, .slot_tokens = tokens, .pooling = options.pooling}));
  built.parts.embedder = std::make_unique<engine::Embedder>(std::move(context));
  built.info.embeddings = true;
  return {};
}

Result<void> build_contexts(const std::vector<batching::SlotClass>& classes, const llamacpp::ModelFacts& facts,
                            Built& built) {
  std::vector<llamacpp::ContextOptions> options;
  for (const batching::SlotClass& slot_class : classes) {
    options.push_back({.slots = slot_class.slots,
                       .slot_tokens = slot_class.tokens_max,
                       .chunk_tokens = engine::chunk_tokens(facts, slot_class.tokens_max),
                       .outputs_max = engine::kShortSlots});
  }
  LLMD_TRY(built.parts.runner.contexts, engine::ContextSet::make(built.model, *built.threads, std::move(options)));
  built.parts.runner.outputs_max = engine::kShortSlots;
  built.info.kv_bytes = engine::kv_bytes_of(facts, classes);
  return {};
}

void build_blocks(const EngineOptions& options, std::uint64_t store_bytes, Built& built) {
  const llamacpp::Context& context = built.parts.runner.contexts->first();
  built.info.model_fingerprint = block_fingerprint(*built.model, context.kv_signature(), options.block_tokens);
  if (!context.has_blocks() || store_bytes == 0) return;
  built.parts.runner.blocks =
      std::make_unique<engine::KvBlocks>(engine::KvBlocksOptions{.fingerprint = built.info.model_fingerprint,
                                                                 .block_tokens = options.block_tokens,
                                                                 .bytes_per_token = context.bytes_per_token(),
                                                                 .store_bytes = store_bytes,
                                                                 .shareable = options.store_shareable});
  built.info.block_bytes = built.parts.runner.blocks->block_bytes();
  built.info.store_bytes_max = store_bytes;
}

/// Slots, contexts and blocks for generation.
Result<void> build_generation(const EngineOptions& options, const llamacpp::ModelFacts& facts, engine::MemoryPlan plan,
                              Built& built) {
  LLMD_TRY_VOID(build_contexts(plan.classes, facts, built));
  build_blocks(options, plan.need.store, built);
  // A context that is no multiple of the grain: the last cells stay unused.
  plan.classes.back().tokens_max = std::min(plan.classes.back().tokens_max, plan.context_tokens);
  for (const batching::SlotClass& slot_class : plan.classes) built.info.sequences_max += slot_class.slots;
  built.info.context_tokens = plan.context_tokens;
  built.info.slots = plan.classes;
  built.parts.batching.classes = std::move(plan.classes);
  return {};
}

std::optional<engine::Weights> wanted_weights(const EngineOptions& options) {
  return options.model.numerics == llamacpp::Numerics::kFast ? engine::Weights::kCopied : options.weights;
}

/// Before anything is allocated.
Result<engine::MemoryPlan> plan(const EngineOptions& options, const llamacpp::ModelFacts& facts) {
  return engine::plan_memory(facts,
                             {.kv_bytes = options.kv_bytes,
                              .store_bytes = options.store_bytes,
                              .context_tokens = options.context_tokens,
                              .allow_long_context = options.allow_long_context,
                              .sequences_max = options.sequences_max,
                              .weights = wanted_weights(options)},
                             {.available = engine::available_memory_bytes()});
}

Result<Built> build(const EngineOptions& options) {
  LLMD_TRY_VOID(check_options(options));
  Built built;
  LLMD_TRY(const llamacpp::ModelFacts facts, llamacpp::read_model_facts(options.model.path));
  LLMD_TRY(engine::MemoryPlan planned, plan(options, facts));
  llamacpp::ModelOptions model = options.model;
  model.pack_weights = planned.weights == engine::Weights::kPacked;
  LLMD_TRY(built.model, llamacpp::Model::load(model));
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  LLMD_TRY(built.threads, llamacpp::ThreadPool::make(options.threads == 0 ? cores : options.threads));
  built.info.model_name = built.model->info().name;
  built.info.block_tokens = options.block_tokens;
  built.info.context_tokens = facts.context_tokens;
  built.parts.runner.model = built.model;
  built.parts.batching.step_tokens_max = options.step_tokens;
  built.parts.step_budget.target_ms = options.tpot_target_ms;
  built.parts.batching.prefill_chunk_max = options.step_tokens;
  built.parts.batching.waiting_max = options.waiting_max;
  built.parts.batching.block_tokens = options.block_tokens;
  built.parts.batching.growth_reserve = 0.1F;
  if (facts.generates) LLMD_TRY_VOID(build_generation(options, facts, std::move(planned), built));
  LLMD_TRY_VOID(build_embedder(options, facts, built));
  if (!facts.generates && !built.info.embeddings) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("model {} neither generates nor gives embeddings", built.info.model_name));
  }
  return built;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

struct LlamaEngine::Impl {
  explicit Impl(Built built)
      : model{std::move(built.model)},
        threads{std::move(built.threads)},
        info{built.info},
        generates{built.parts.runner.contexts != nullptr},
        vocab{model},
        loop{std::move(built.parts)} {
    for (TokenId token = 0; token < vocab.size(); ++token) {
      if (vocab.is_end_of_generation(token)) ends.push_back(token);
    }
    thread = std::thread{[this] { loop.run(); }};
  }

  Result<void> check(const SequenceRequest& request) const;
  Result<void> check_length(const SequenceRequest& request) const;
  Result<std::unique_ptr<engine::Sequence>> prepare(SequenceRequest&& request, std::shared_ptr<SequenceSink>&& sink);

  std::shared_ptr<const llamacpp::Model> model;
  std::unique_ptr<llamacpp::ThreadPool> threads;
  EngineInfo info;
  bool generates;
  llamacpp::Vocab vocab;
  std::vector<TokenId> ends;
  std::atomic<std::uint64_t> next_id{1};
  std::atomic<bool> closing{false};
  engine::EngineLoop loop;
  std::thread thread;
};

Result<void> LlamaEngine::Impl::check_length(const SequenceRequest& request) const {
  const std::uint64_t prompt = request.prompt.size();
  if (request.embed) {
    const std::uint64_t longest = std::min(info.context_tokens, engine::Embedder::kTokensMax);
    if (prompt <= longest) return {};
    return fail(ErrorCode::kContextLengthExceeded,
                fmt::format("the input has {} tokens; embeddings take at most {}", prompt, longest),
                "shorten the input");
  }
  return check_context({.prompt_tokens = prompt, .output_tokens_max = request.max_tokens}, info.context_tokens);
}

Result<void> LlamaEngine::Impl::check(const SequenceRequest& request) const {
  if (closing.load(std::memory_order_relaxed)) return fail(ErrorCode::kShuttingDown, "the engine shuts down");
  if (request.prompt.empty())
    return fail(ErrorCode::kInvalidRequest, "the prompt holds no tokens", "give at least one token");
  if (request.embed && !info.embeddings) {
    return fail(ErrorCode::kUnsupported, fmt::format("model {} gives no embeddings", info.model_name),
                "serve a model that says how it pools");
  }
  if (!request.embed && !generates) {
    return fail(ErrorCode::kUnsupported, fmt::format("model {} gives embeddings only", info.model_name));
  }
  const auto bad =
      std::find_if(request.prompt.begin(), request.prompt.end(), [&](TokenId token) { return !vocab.is_valid(token); });
  if (bad != request.prompt.end()) {
    return fail(ErrorCode::kInvalidRequest, fmt::format("token id {} at position {} is outside the vocabulary of {}",
                                                        *bad, bad - request.prompt.begin(), vocab.size()));
  }
  return check_length(request);
}

Result<std::unique_ptr<engine::Sequence>> LlamaEngine::Impl::prepare(SequenceRequest&& request,
                                                                     std::shared_ptr<SequenceSink>&& sink) {
  const SequenceId id{next_id.fetch_add(1, std::memory_order_relaxed)};
  auto sequence = std::make_unique<engine::Sequence>(id, std::move(request), std::move(sink));
  const SequenceRequest& wanted = sequence->request;
  if (wanted.embed) return sequence;
  sequence->tokens_max = wanted.max_tokens == 0 ? info.context_tokens : sequence->prompt_tokens() + wanted.max_tokens;
  std::unique_ptr<llamacpp::Grammar> grammar;
  if (!wanted.sampling.grammar.gbnf.empty()) {
    LLMD_TRY(grammar, llamacpp::Grammar::make(model, wanted.sampling.grammar));
  }
  sequence->sampler.emplace(
      engine::Sampler::Options{.params = wanted.sampling,
                               .seed = wanted.sampling.seed ? *wanted.sampling.seed : random_seed(),
                               .grammar = std::move(grammar),
                               .ends = ends},
      wanted.prompt);
  if (const engine::KvBlocks* blocks = loop.blocks()) blocks->extend_chain(*sequence);
  return sequence;
}

LlamaEngine::LlamaEngine(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}

LlamaEngine::~LlamaEngine() { shut_down(std::chrono::milliseconds{0}); }

Result<std::unique_ptr<LlamaEngine>> LlamaEngine::make(const EngineOptions& options) {
  LLMD_TRY(Built built, build(options));
  return std::unique_ptr<LlamaEngine>{new LlamaEngine{std::make_unique<Impl>(std::move(built))}};
}

const std::shared_ptr<const llamacpp::Model>& LlamaEngine::model() const noexcept { return impl_->model; }

const EngineInfo& LlamaEngine::info() const noexcept { return impl_->info; }

EngineLoad LlamaEngine::load() const { return impl_->loop.load(); }

Result<SequenceId> LlamaEngine::submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink) {
  LLMD_TRY_VOID(impl_->check(request));
  if (!impl_->loop.reserve_place()) {
    return fail(ErrorCode::kOverloaded, "the engine's queue is full",
                "try again later, or raise the worker's queue limit");
  }
  auto sequence = impl_->prepare(std::move(request), std::move(sink));
  if (!sequence) {
    impl_->loop.return_place();
    return std::unexpected(std::move(sequence.error()));
  }
  const SequenceId id = (*sequence)->id;
  if (!impl_->loop.submit(std::move(*sequence))) return fail(ErrorCode::kShuttingDown, "the engine shuts down");
  return id;
}

void LlamaEngine::cancel(SequenceId sequence) { impl_->loop.cancel(sequence); }

void LlamaEngine::set_step_sink(std::shared_ptr<StepSink> sink) { impl_->loop.set_step_sink(std::move(sink)); }

std::vector<BlockData> LlamaEngine::export_blocks(const std::vector<BlockId>& ids) {
  std::vector<BlockData> blocks;
  engine::KvBlocks* held = impl_->loop.blocks();
  if (held == nullptr) return blocks;
  for (kvstore::BlockHandle& handle : held->store().get_leading(ids)) {
    blocks.push_back({.id = ids[blocks.size()], .bytes = std::move(handle)});
  }
  return blocks;
}

Result<void> LlamaEngine::import_blocks(std::vector<BlockData> blocks) {
  engine::KvBlocks* held = impl_->loop.blocks();
  if (held == nullptr) return fail(ErrorCode::kUnsupported, "this model is served without block reuse");
  std::optional<BlockId> parent;
  for (const BlockData& block : blocks) {
    LLMD_TRY(const kvstore::PutOutcome outcome, held->store().put(block.id, parent, block.bytes.bytes()));
    if (outcome == kvstore::PutOutcome::kFull || outcome == kvstore::PutOutcome::kNoParent) return {};
    parent = block.id;
  }
  return {};
}

kvstore::BlockStore* LlamaEngine::block_store() noexcept {
  engine::KvBlocks* held = impl_->loop.blocks();
  return held == nullptr ? nullptr : &held->store();
}

std::vector<BlockId> LlamaEngine::block_ids(const std::vector<TokenId>& prompt, const std::string& cache_salt) const {
  const engine::KvBlocks* held = impl_->loop.blocks();
  if (held == nullptr) return {};
  return block_chain(held->scope(cache_salt), prompt, held->block_tokens());
}

void LlamaEngine::shut_down(std::chrono::milliseconds deadline) {
  if (!impl_->thread.joinable()) return;
  impl_->closing.store(true, std::memory_order_relaxed);
  if (!impl_->loop.wait_until_empty(SteadyClock::now() + deadline))
    log::info("the engine ends its sequences: the deadline of its shutdown has passed");
  impl_->loop.stop();
  impl_->thread.join();
}

}  // namespace llmd
