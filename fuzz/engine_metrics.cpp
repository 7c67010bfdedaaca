// links: llmd_pool llmd_api llmd_config
// Engines' /metrics pages over any bytes, cut at any place, read by every adapter, those of specs from the input, too:
// no crash, counts stay in range, and the same page reads the same however it is cut. The input: one byte that says how
// the page is cut, a line that is tried as a spec, the page. The same bytes are read as exporters' pages and as
// Ollama's answer.
#include "pool/engine_metrics.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/ollama/running_models.h"
#include "pool/node_metrics.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file
using pool::EngineMetricsParser;
using pool::EngineReadings;

EngineReadings read(const pool::MetricAdapter& adapter, std::string_view page, std::size_t step) {
  EngineMetricsParser parser{adapter};
  while (!page.empty()) {
    const std::string_view piece = page.substr(0, step);
    page.remove_prefix(piece.size());
    if (!parser.feed(piece)) std::abort();  // inputs are far smaller than the bound
  }
  return parser.finish();
}

void check(const pool::MetricAdapter& adapter, std::string_view page, std::size_t step) {
  const EngineReadings whole = read(adapter, page, page.size() + 1);
  const EngineReadings cut = read(adapter, page, step);
  if (whole.waiting_requests != cut.waiting_requests || whole.kv_usage != cut.kv_usage) std::abort();
  if (whole.kv_blocks != cut.kv_blocks || whole.kv_block_tokens != cut.kv_block_tokens) std::abort();
  if (whole.named != cut.named || whole.prompt_tokens != cut.prompt_tokens) std::abort();
  if (whole.kv_usage && !(*whole.kv_usage >= 0 && *whole.kv_usage <= 1)) std::abort();
}

/// What the first line says, if it is a spec, asked for in every way.
void check_spec(std::string_view line, std::string_view page, std::size_t step) {
  const auto spec = config::parse_metric_spec(line);
  if (!spec || spec->name.empty()) return;
  if (spec->name.find_first_of("{} \t\n\"") != std::string::npos) std::abort();
  config::CoreExtractorConfig config;
  config.engines.push_back({.name = "fuzz",
                            .queued_requests = *spec,
                            .running_requests = *spec,
                            .kv_usage = *spec,
                            .lora = *spec,
                            .cache_info = *spec,
                            .block_tokens = *spec,
                            .blocks = *spec,
                            .custom = {{"a", *spec}, {"b", *spec}}});
  const pool::MetricAdapters adapters{config};
  check(adapters.named("fuzz"), page, step);
  check(adapters.any(), page, step);
}

void check_node(config::ExporterKind kind, std::string_view page) {
  pool::NodeMetricsParser parser{kind, "pod"};
  if (!parser.feed(page)) std::abort();
  (void)parser.finish();
  pool::NodeReadings readings = parser.readings();
  pool::add_rates(parser.counters(), parser.counters(), llmd::seconds{1}, readings);
  for (const auto& share : {readings.gpu_use, readings.gpu_memory_use, readings.cpu_use, readings.memory_use}) {
    if (share && !(*share >= 0 && *share <= 1)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const pool::MetricAdapters known{{}};
  std::string_view page{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::size_t step = 1 + data[0] % 37;
  check(known.any(), page, step);
  check(known.named("vllm"), page, step);
  const std::string_view line = page.substr(0, page.find('\n'));
  check_spec(line, page.substr(line.size()), step);
  check_node(config::ExporterKind::kDcgm, page);
  check_node(config::ExporterKind::kNode, page);
  (void)ollama::read_running_models(page);
  return 0;
}
