// links: llmd_pool
// Question: what does reading an engine's page cost? The number that matters: us for a page of vLLM of 200 KB, wanted
// below 200. Baseline: each line's name compared with all that are wanted, as it was before there were adapters.
// Estimate: a memchr over each line of 100 bytes 5 ns, a look at its beginning 2 ns: 2,000 lines take 15 us. Arguments:
// bytes of the page, bytes of the pieces in which it comes, whether the engine must be recognised first.
#include "pool/engine_metrics.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

/// As vLLM writes it: mostly buckets of histograms, the few gauges among them.
std::string vllm_page(std::size_t bytes) {
  std::string page;
  const auto histogram = [&](std::string_view name) {
    page += fmt::format("# HELP {0} Histogram of something in seconds.\n# TYPE {0} histogram\n", name);
    for (int i = 0; i < 24; ++i) {
      page += fmt::format("{}_bucket{{engine=\"0\",le=\"{}.0\",model_name=\"meta-llama/Llama-3.1-8B\"}} {}.0\n", name,
                          i, i * 3);
    }
  };
  while (page.size() < bytes / 2) histogram("vllm:e2e_request_latency_seconds");
  for (const char* line :
       {"vllm:num_requests_running{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 3.0\n",
        "vllm:num_requests_waiting{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 7.0\n",
        "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 0.25\n",
        "vllm:prompt_tokens_total{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 123456.0\n",
        "vllm:generation_tokens_total{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 3456.0\n",
        "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 1000.0\n",
        "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 250.0\n",
        "vllm:cache_config_info{block_size=\"16\",cache_dtype=\"auto\",num_gpu_blocks=\"14835\"} 1.0\n"}) {
    page += line;
  }
  while (page.size() + 3'000 < bytes) histogram("vllm:request_prompt_tokens");
  return page;
}

void BM_EngineMetrics(benchmark::State& state) {
  const std::string page = vllm_page(static_cast<std::size_t>(state.range(0)));
  const auto piece = static_cast<std::size_t>(state.range(1));
  const pool::MetricAdapters adapters{{}};
  const pool::MetricAdapter& adapter = state.range(2) != 0 ? adapters.any() : adapters.named("vllm");
  double running = 0;
  for ([[maybe_unused]] auto _ : state) {
    pool::EngineMetricsParser parser{adapter};
    for (std::string_view rest = page; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
      benchmark::DoNotOptimize(parser.feed(rest.substr(0, piece)));
    running += parser.finish().running_requests.value_or(0);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page.size()));
  state.counters["running_requests"] = running / static_cast<double>(state.iterations());
}
BENCHMARK(BM_EngineMetrics)
    ->ArgNames({"bytes", "piece", "any"})
    ->Args({4'096, 65'536, 0})
    ->Args({4'096, 65'536, 1})
    ->Args({200'000, 65'536, 0})
    ->Args({200'000, 65'536, 1})
    ->Args({200'000, 1'448, 0})
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
