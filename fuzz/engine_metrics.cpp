// links: llmd_pool
// The parser of engines' /metrics pages over any bytes, cut at any place: no crash, counts stay in range, and the same
// page reads the same however it is cut.
#include "pool/engine_metrics.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using llmd::pool::EngineMetricsParser;
using llmd::pool::EngineReadings;

EngineReadings read(std::string_view page, std::size_t step) {
  EngineMetricsParser parser;
  while (!page.empty()) {
    const std::string_view piece = page.substr(0, step);
    page.remove_prefix(piece.size());
    if (!parser.feed(piece)) std::abort();  // inputs are far smaller than the bound
  }
  return parser.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view page{reinterpret_cast<const char*>(data) + 1, size - 1};
  const EngineReadings whole = read(page, page.size() + 1);
  const EngineReadings cut = read(page, 1 + data[0] % 37);
  if (whole.waiting_requests != cut.waiting_requests || whole.kv_usage != cut.kv_usage) std::abort();
  if (whole.kv_blocks != cut.kv_blocks || whole.kv_block_tokens != cut.kv_block_tokens) std::abort();
  if (whole.kv_usage && !(*whole.kv_usage >= 0 && *whole.kv_usage <= 1)) std::abort();
  return 0;
}
