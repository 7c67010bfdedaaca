#include "apps/worker/worker_metrics.h"

#include <fmt/format.h>

#include <memory>

namespace llmd::worker {
namespace {

// Bucket edges as vLLM's, so that dashboards and predictors made for it fit.
constexpr double kFirstTokenBounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                        1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
constexpr double kPerTokenBounds[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                      0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80};
constexpr double kRequestBounds[] = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                     30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
constexpr double kSizeBounds[] = {1,    2,    5,    10,     20,     50,     100,     200,    500,
                                  1000, 2000, 5000, 10'000, 20'000, 50'000, 100'000, 200'000};
constexpr double kStepBounds[] = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16'384};
constexpr double kChoiceBounds[] = {1, 2, 5, 10, 20};

std::string_view finish_label(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "abort";
    case FinishReason::kError: return "error";
  }
  return "error";
}

/// Lives as long as the engine; the histogram is the registry's.
class StepMetrics final : public StepSink {
 public:
  explicit StepMetrics(Histogram& tokens) noexcept : tokens_{tokens} {}
  void on_step(const StepFacts& step) noexcept override { tokens_.observe(step.prompt_tokens + step.generated_tokens); }

 private:
  Histogram& tokens_;
};

}  // namespace

WorkerMetrics::WorkerMetrics(MetricsRegistry& registry, const std::string& model_name)
    : registry_{registry},
      labels_{{"model_name", model_name}, {"engine", "0"}},
      first_token_{registry.histogram("vllm:time_to_first_token_seconds", "Time from arrival to the first token.",
                                      kFirstTokenBounds, labels_)},
      inter_token_{registry.histogram("vllm:inter_token_latency_seconds", "Time between two tokens of a sequence.",
                                      kPerTokenBounds, labels_)},
      request_per_token_{registry.histogram("vllm:request_time_per_output_token_seconds",
                                            "Mean time of a request's output tokens after the first.", kPerTokenBounds,
                                            labels_)},
      total_{registry.histogram("vllm:e2e_request_latency_seconds", "Time from arrival to the end of the answer.",
                                kRequestBounds, labels_)},
      queue_time_{registry.histogram("vllm:request_queue_time_seconds", "Time from submission to the first slot.",
                                     kRequestBounds, labels_)},
      prefill_time_{registry.histogram("vllm:request_prefill_time_seconds",
                                       "Time from the first slot to the first token.", kRequestBounds, labels_)},
      decode_time_{registry.histogram("vllm:request_decode_time_seconds", "Time from the first token to the last.",
                                      kRequestBounds, labels_)},
      inference_time_{registry.histogram("vllm:request_inference_time_seconds",
                                         "Time from the first slot to the last token.", kRequestBounds, labels_)},
      step_tokens_{registry.histogram("vllm:iteration_tokens_total", "Prompt and output tokens of an engine step.",
                                      kStepBounds, labels_)},
      prompt_size_{
          registry.histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", kSizeBounds, labels_)},
      output_size_{
          registry.histogram("vllm:request_generation_tokens", "Output tokens of a request.", kSizeBounds, labels_)},
      choices_{registry.histogram("vllm:request_params_n", "Choices that requests ask for.", kChoiceBounds, labels_)},
      max_tokens_{registry.histogram("vllm:request_params_max_tokens", "Output limits that requests ask for.",
                                     kSizeBounds, labels_)},
      ready_{registry.gauge("llmd_worker_ready", "1 once the model is loaded and until a drain begins.", labels_)},
      cpu_use_{registry.gauge("llmd_worker_cpu_use", "Share of the cores that this process used since the last look.",
                              labels_)},
      memory_use_{
          registry.gauge("llmd_worker_memory_use", "Share of the machine's memory that this process holds.", labels_)},
      in_flight_{registry.gauge("llmd_worker_requests_in_flight",
                                "Inference requests that were accepted and not yet answered.", labels_)} {
  for (const auto reason :
       {FinishReason::kStop, FinishReason::kLength, FinishReason::kCancelled, FinishReason::kError}) {
    LabelSet labels = labels_;
    labels.emplace_back("finished_reason", finish_label(reason));
    finishes_[static_cast<std::size_t>(reason)] =
        &registry.counter("vllm:request_success_total", "Sequences that ended, by reason.", std::move(labels));
  }
  add_engine_series();
  registry_.on_collect([this] { refresh(); });
}

void WorkerMetrics::add_engine_series() {
  const auto gauge = [this](std::string_view name, std::string_view help, double (*read)(const EngineLoad&)) {
    engine_gauges_.push_back({registry_.gauge(name, help, labels_), read});
  };
  const auto counter = [this](std::string_view name, std::string_view help, double (*read)(const EngineLoad&)) {
    engine_counters_.push_back({registry_.counter(name, help, labels_), read});
  };
  using Load = EngineLoad;
  gauge("vllm:num_requests_running", "Sequences that hold a slot.",
        [](const Load& load) -> double { return load.running; });
  gauge("vllm:num_requests_waiting", "Sequences that wait for a slot.",
        [](const Load& load) -> double { return load.waiting; });
  gauge("vllm:kv_cache_usage_perc", "Share of the KV cells in use, 0 to 1.",
        [](const Load& load) -> double { return load.kv_usage; });
  counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
          [](const Load& load) { return static_cast<double>(load.prefix_queries_tokens); });
  counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.",
          [](const Load& load) { return static_cast<double>(load.prefix_hits_tokens); });
  counter("vllm:num_preemptions_total", "Sequences that gave up their slot to others.",
          [](const Load& load) { return static_cast<double>(load.preemptions); });
  counter("vllm:prompt_tokens_total", "Prompt tokens of all sequences.",
          [](const Load& load) { return static_cast<double>(load.prompt_tokens); });
  counter("vllm:generation_tokens_total", "Tokens generated.",
          [](const Load& load) { return static_cast<double>(load.generation_tokens); });
  gauge("llmd_worker_waiting_tokens", "Prompt tokens not computed yet.",
        [](const Load& load) -> double { return load.waiting_tokens; });
  gauge("llmd_worker_decode_tokens_left", "Tokens that all sequences will probably still make.",
        [](const Load& load) { return static_cast<double>(load.decode_tokens_left); });
  gauge("llmd_worker_store_blocks", "Blocks in the prefix cache.",
        [](const Load& load) { return static_cast<double>(load.store_blocks); });
  gauge("llmd_worker_store_bytes", "Bytes of the prefix cache.",
        [](const Load& load) { return static_cast<double>(load.store_bytes); });
  gauge("llmd_worker_block_reuse", "0 if this kind of model is served without a prefix cache.",
        [](const Load& load) { return load.block_reuse ? 1.0 : 0.0; });
  counter("llmd_worker_store_evictions_total", "Blocks dropped for want of room.",
          [](const Load& load) { return static_cast<double>(load.store_evictions); });
  counter("llmd_worker_engine_steps_total", "Batches computed.",
          [](const Load& load) { return static_cast<double>(load.steps); });
}

void WorkerMetrics::attach(Engine& engine) {
  engine.set_step_sink(std::make_shared<StepMetrics>(step_tokens_));
  const EngineInfo& info = engine.info();
  LabelSet cache = labels_;
  cache.emplace_back("block_size", fmt::format("{}", info.block_tokens));
  cache.emplace_back("num_gpu_blocks", fmt::format("{}", info.block_bytes > 0 ? info.kv_bytes / info.block_bytes : 0));
  cache.emplace_back("num_cpu_blocks",
                     fmt::format("{}", info.block_bytes > 0 ? info.store_bytes_max / info.block_bytes : 0));
  cache.emplace_back("enable_prefix_caching", info.store_bytes_max > 0 ? "True" : "False");
  registry_.gauge("vllm:cache_config_info", "Sizes of the KV cache, as labels.", std::move(cache)).set(1);
  registry_
      .gauge("llmd_worker_llama_steps",
             "1 if prompts are computed in pieces beside decoding sequences, and each size of slots is a batch.",
             labels_)
      .set(info.llama_steps ? 1 : 0);
  for (const batching::SlotClass& each : info.slots) {
    LabelSet size = labels_;
    size.emplace_back("tokens_max", fmt::format("{}", each.tokens_max));
    registry_
        .gauge("llmd_worker_slots", "Sequences that run at once, by the tokens that they may have.", std::move(size))
        .set(each.slots);
  }
  engine_.store(&engine, std::memory_order_release);
}

void WorkerMetrics::refresh() {
  const ResourceUse::Shares shares = resources_.sample(SteadyClock::now());
  if (shares.cpu) cpu_use_.set(*shares.cpu);
  if (shares.memory) memory_use_.set(*shares.memory);
  const Engine* engine = engine_.load(std::memory_order_acquire);
  if (engine == nullptr) return;
  const EngineLoad load = engine->load();
  for (const EngineGauge& entry : engine_gauges_) entry.gauge.set(entry.read(load));
  // The engine counts by itself; a counter takes over the difference.
  for (const EngineCounter& entry : engine_counters_) {
    const double missing = entry.read(load) - entry.counter.value();
    if (missing > 0) entry.counter.add(missing);
  }
}

void WorkerMetrics::observe_first_token(Duration since_arrival) { first_token_.observe(to_seconds(since_arrival)); }

void WorkerMetrics::observe_inter_token(Duration gap) { inter_token_.observe(to_seconds(gap)); }

void WorkerMetrics::observe_request(const RequestOutcome& outcome) {
  total_.observe(to_seconds(outcome.total));
  prompt_size_.observe(outcome.prompt_tokens);
  output_size_.observe(outcome.completion_tokens);
  choices_.observe(outcome.choices);
  if (outcome.max_tokens > 0) max_tokens_.observe(outcome.max_tokens);
  const std::uint32_t per_choice = outcome.completion_tokens / std::max(outcome.choices, 1U);
  if (per_choice > 1) {
    request_per_token_.observe(to_seconds(outcome.total - outcome.first_token) / (per_choice - 1));
  }
}

void WorkerMetrics::observe_sequence(const SequenceTimes& times) {
  if (!times.scheduled) return;
  queue_time_.observe(to_seconds(*times.scheduled - times.queued));
  if (!times.first_token || !times.last_token) return;
  prefill_time_.observe(to_seconds(*times.first_token - *times.scheduled));
  decode_time_.observe(to_seconds(*times.last_token - *times.first_token));
  inference_time_.observe(to_seconds(*times.last_token - *times.scheduled));
}

void WorkerMetrics::count_finish(FinishReason reason) { finishes_[static_cast<std::size_t>(reason)]->add(); }

void WorkerMetrics::count_response(int status) {
  registry_
      .counter("llmd_worker_http_responses_total", "Answers by status.",
               {labels_.front(), {"status", fmt::format("{}", status)}})
      .add();
}

}  // namespace llmd::worker
