#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/metric_spec.h"

namespace llmd::config {

/// How one page of an endpoint is asked for. Plain HTTP: other schemes are refused when the configuration is checked.
struct PageSource {
  std::string path;                       // begins with "/"
  std::uint16_t port = 0;                 // 0: the endpoint's own
  std::chrono::milliseconds interval{0};  // 0: --probe-interval
  friend bool operator==(const PageSource&, const PageSource&) = default;
};

/// A series that becomes an attribute of endpoints.
struct CustomMetric {
  std::string attribute;
  MetricSpec series;
  friend bool operator==(const CustomMetric&, const CustomMetric&) = default;
};

/// Where an engine's page says what is wanted, as core-metrics-extractor's engineConfigs have it. A spec without name
/// means that the engine does not tell.
struct EngineConfig {
  std::string name;  // value of the engine label
  MetricSpec queued_requests{};
  MetricSpec running_requests{};
  MetricSpec kv_usage{};
  MetricSpec lora{};
  MetricSpec cache_info{};
  std::string block_tokens_label = "block_size";  // of cache_info
  std::string blocks_label = "num_gpu_blocks";
  MetricSpec block_tokens{};
  MetricSpec blocks{};
  std::vector<CustomMetric> custom{};
  friend bool operator==(const EngineConfig&, const EngineConfig&) = default;
};

/// The engines that need no configuration, in the order of pool/known_engines.h.
inline constexpr std::array<std::string_view, 13> kKnownEngines{
    "vllm",   "sglang",   "trtllm-serve", "triton-tensorrt-llm",
    "triton", "llmd",     "llama-server", "tgi",
    "ovms",   "lmdeploy", "xllm",         "mindie",
    "ollama"};

/// How endpoints' pages are understood.
struct CoreExtractorConfig {
  std::string engine_label = "llm-d.ai/engine-type";
  std::string default_engine = "vllm";  // counts where a page leaves it in doubt
  std::vector<EngineConfig> engines{};  // before those that are known anyway; one of a known name takes its place
  friend bool operator==(const CoreExtractorConfig&, const CoreExtractorConfig&) = default;
};

/// What exporters beside an engine are understood: NVIDIA's of its GPUs, Prometheus' of its machine.
enum class ExporterKind : std::uint8_t { kDcgm, kNode };

/// A page that an exporter beside the endpoints shows.
struct ExporterSource {
  ExporterKind kind = ExporterKind::kDcgm;
  PageSource page{};
  bool use_node_address = false;  // at the address that the endpoint's label says, instead of the endpoint's own
  friend bool operator==(const ExporterSource&, const ExporterSource&) = default;
};

/// The label whose value is the address of the machine that an endpoint runs on: written in an endpoint file; made of
/// the pod's host address where Kubernetes tells of endpoints.
inline constexpr const char* kNodeAddressLabel = "llm-d.ai/node-address";

}  // namespace llmd::config
