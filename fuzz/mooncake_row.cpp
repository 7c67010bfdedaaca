// links: llmd_simulation
// The parser of Mooncake's trace over any bytes: every row is in bounds and reads the same when it is written again;
// every error is of its kind and says where. The trace takes a row or says why not, and names the blocks that it must.
#include "simulation/workloads/mooncake_row.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/workloads/mooncake_trace.h"

namespace {

using llmd::simulation::kMooncakeBlocksMax;
using llmd::simulation::kMooncakeBlockTokens;
using llmd::simulation::kMooncakeTimestampMaxMs;
using llmd::simulation::kMooncakeTokensMax;
using llmd::simulation::MooncakeRow;
using llmd::simulation::MooncakeTrace;
using llmd::simulation::parse_mooncake_row;

void check(const MooncakeRow& row) {
  if (row.timestamp_ms > kMooncakeTimestampMaxMs || row.hash_ids.size() > kMooncakeBlocksMax) std::abort();
  if (row.input_tokens < 1 || row.input_tokens > kMooncakeTokensMax) std::abort();
  if (row.output_tokens < 1 || row.output_tokens > kMooncakeTokensMax) std::abort();
  const auto again = parse_mooncake_row(
      fmt::format(R"({{"timestamp": {}, "input_length": {}, "output_length": {}, "hash_ids": [{}]}})", row.timestamp_ms,
                  row.input_tokens, row.output_tokens, fmt::join(row.hash_ids, ", ")));
  if (!again || *again != row) std::abort();
}

void replay(const MooncakeRow& row) {
  const auto trace = MooncakeTrace::make(std::make_shared<const std::vector<MooncakeRow>>(1, row));
  if (!trace) {
    if (trace.error().code != llmd::ErrorCode::kFileInvalid || !trace.error().what.starts_with("row 1: ")) std::abort();
    return;
  }
  const auto request = (*trace)->next();
  if (!request || (*trace)->next()) std::abort();
  if (request->blocks.size() != (row.input_tokens + row.output_tokens) / kMooncakeBlockTokens) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto row = parse_mooncake_row({reinterpret_cast<const char*>(data), size});
  if (row) {
    check(*row);
    replay(*row);
  } else if (row.error().code != llmd::ErrorCode::kFileInvalid || !row.error().what.starts_with("column ")) {
    std::abort();
  }
  return 0;
}
