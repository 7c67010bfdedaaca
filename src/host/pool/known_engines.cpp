#include "pool/known_engines.h"

namespace llmd::pool {
namespace {

using enum EngineField;

// The five that llm-d knows: llm-d-router, extractor/metrics/factories.go at ebab687 (August 2026). Counters beside
// them: the engines' own sources, named in testdata/expositions.
constexpr KnownSeries kVllm[] = {
    {kWaiting, "vllm:num_requests_waiting"},
    {kRunning, "vllm:num_requests_running"},
    {kKvUsage, "vllm:kv_cache_usage_perc"},
    {kKvUsage, "vllm:gpu_cache_usage_perc"},  // before 0.9.2
    {kCacheInfo, "vllm:cache_config_info"},
    {kLora, "vllm:lora_requests_info"},
    {kPromptTokens, "vllm:prompt_tokens_total"},
    {kGenerationTokens, "vllm:generation_tokens_total"},
    {kPrefixQueries, "vllm:prefix_cache_queries_total"},
    {kPrefixHits, "vllm:prefix_cache_hits_total"},
    {kOldPrefixQueries, "vllm:gpu_prefix_cache_queries_total"},  // before 0.9.2
    {kOldPrefixHits, "vllm:gpu_prefix_cache_hits_total"},
};
constexpr KnownSeries kSglang[] = {
    {kWaiting, "sglang:num_queue_reqs"},
    {kRunning, "sglang:num_running_reqs"},
    {kKvUsage, "sglang:token_usage"},
    {kCacheInfo, "sglang:cache_config_info"},  // before 0.5.11
    {kBlockTokens, "sglang:page_size"},
    {kBlocks, "sglang:num_pages"},
    {kPromptTokens, "sglang:prompt_tokens_total"},
    {kGenerationTokens, "sglang:generation_tokens_total"},
    {kPrefixQueries, "sglang:prompt_tokens_total"},
    {kPrefixHits, "sglang:cached_tokens_total"},  // one for each place that they were cached in
};
constexpr KnownSeries kTrtllm[] = {
    {kWaiting, "trtllm_num_requests_waiting"},
    {kRunning, "trtllm_num_requests_running"},
    {kKvUsage, "trtllm_kv_cache_utilization"},
    {kBlockTokens, "trtllm_kv_cache_tokens_per_block"},
    {kBlocks, "trtllm_kv_cache_max_blocks"},
    {kPromptTokens, "trtllm_prompt_tokens_total"},
    {kGenerationTokens, "trtllm_generation_tokens_total"},
    {kPrefixQueries, "trtllm_prompt_tokens_total"},
    {kPrefixHits, "trtllm_prompt_cached_tokens_total"},
};
constexpr KnownSeries kTritonTrtllm[] = {
    {kWaiting, "nv_trt_llm_request_metrics{request_type=waiting}"},
    {kRunning, "nv_trt_llm_request_metrics{request_type=scheduled}"},
    {kKvUsage, "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}"},
    {kBlockTokens, "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=tokens_per}"},
    {kBlocks, "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=max}"},
};
// As in llm-d, though the second one counts all executions since the start.
constexpr KnownSeries kTriton[] = {
    {kWaiting, "nv_inference_pending_request_count"},
    {kRunning, "nv_inference_exec_count"},
};

// Ours: vLLM's names for what vLLM has, too.
constexpr KnownSeries kWorker[] = {
    {kWaiting, "vllm:num_requests_waiting"},
    {kRunning, "vllm:num_requests_running"},
    {kKvUsage, "vllm:kv_cache_usage_perc"},
    {kCacheInfo, "vllm:cache_config_info"},
    {kPromptTokens, "vllm:prompt_tokens_total"},
    {kGenerationTokens, "vllm:generation_tokens_total"},
    {kPrefixQueries, "vllm:prefix_cache_queries_total"},
    {kPrefixHits, "vllm:prefix_cache_hits_total"},
    {kLora, "vllm:lora_requests_info"},
    {kQueuedTokens, "llmd_worker_waiting_tokens"},
    {kDecodeTokensLeft, "llmd_worker_decode_tokens_left"},
    {kCpuUse, "llmd_worker_cpu_use"},
    {kMemoryUse, "llmd_worker_memory_use"},
};
constexpr KnownSeries kLlamaServer[] = {
    {kWaiting, "llamacpp:requests_deferred"},
    {kRunning, "llamacpp:requests_processing"},
    {kKvUsage, "llamacpp:kv_cache_usage_ratio"},  // until the middle of 2025
    {kPromptTokens, "llamacpp:prompt_tokens_total"},
    {kGenerationTokens, "llamacpp:tokens_predicted_total"},
    {kPrefixQueries, "llamacpp:prompt_tokens_total"},  // without those that were cached
    {kPrefixQueries, "llamacpp:prompt_tokens_cached_total"},
    {kPrefixHits, "llamacpp:prompt_tokens_cached_total"},
};
constexpr KnownSeries kTgi[] = {
    {kWaiting, "tgi_queue_size"},
    {kRunning, "tgi_batch_current_size"},
    {kPromptTokens, "tgi_request_input_length_sum"},
    {kGenerationTokens, "tgi_request_generated_tokens_sum"},
};
// A model that generates is a graph; how many requests wait is not told.
constexpr KnownSeries kOvms[] = {
    {kRunning, "ovms_current_graphs", true},
    {kRunning, "ovms_current_requests", true},
};
constexpr KnownSeries kLmdeploy[] = {
    {kWaiting, "lmdeploy:num_requests_waiting"},
    {kRunning, "lmdeploy:num_requests_running"},
    {kKvUsage, "lmdeploy:gpu_cache_usage_perc"},
    {kPromptTokens, "lmdeploy:prompt_tokens_total"},
    {kGenerationTokens, "lmdeploy:generation_tokens_total"},
};
// "perc" is 0..1, as its kv_cache_utilization() is.
constexpr KnownSeries kXllm[] = {
    {kWaiting, "num_waiting_requests"},
    {kRunning, "num_running_requests"},
    {kKvUsage, "kv_cache_utilization_perc"},
    {kPromptTokens, "num_processing_tokens_total_prompt"},
    {kGenerationTokens, "num_processing_tokens_total_generated"},
};
constexpr KnownSeries kMindie[] = {
    {kWaiting, "num_requests_waiting"},
    {kRunning, "num_requests_running"},
    {kKvUsage, "npu_cache_usage_perc"},
    {kPromptTokens, "prompt_tokens_total"},
    {kGenerationTokens, "generation_tokens_total"},
};

constexpr KnownEngine kEngines[] = {
    {.name = "vllm", .series = kVllm, .block_tokens_label = "block_size", .blocks_label = "num_gpu_blocks"},
    {.name = "sglang", .series = kSglang, .block_tokens_label = "page_size", .blocks_label = "num_pages"},
    {.name = "trtllm-serve", .series = kTrtllm},
    {.name = "triton-tensorrt-llm", .series = kTritonTrtllm},
    {.name = "triton", .series = kTriton},
    {.name = "llmd", .series = kWorker, .block_tokens_label = "block_size", .blocks_label = "num_gpu_blocks"},
    {.name = "llama-server", .series = kLlamaServer},
    {.name = "tgi", .series = kTgi},
    {.name = "ovms", .series = kOvms},
    {.name = "lmdeploy", .series = kLmdeploy},
    {.name = "xllm", .series = kXllm},
    {.name = "mindie", .series = kMindie},
};

}  // namespace

std::span<const KnownEngine> known_engines() noexcept { return kEngines; }

}  // namespace llmd::pool
