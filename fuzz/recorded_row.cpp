// links: llmd_simulation
// The parser of the recorded log over any bytes: every row is in bounds, and what the log replays has the blocks that
// its lengths say; every error is of its kind and says where.
#include "simulation/workloads/recorded_row.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "simulation/workloads/recorded_log.h"

namespace {

using llmd::simulation::RecordedLog;
using llmd::simulation::RecordedRow;

void check(const RecordedRow& row) {
  namespace sim = llmd::simulation;
  if (row.input_tokens < 1 || row.input_tokens > sim::kRecordedTokensMax) std::abort();
  if (row.output_tokens < 1 || row.output_tokens > sim::kRecordedTokensMax) std::abort();
  if (row.block_tokens < 1 || row.block_tokens > sim::kRecordedBlockTokensMax) std::abort();
  if (row.block_ids.size() != row.input_tokens / row.block_tokens) std::abort();
}

void replay(RecordedRow row) {
  row.output_tokens = row.output_tokens % 4'096 + 1;  // so that small blocks cost no gigabytes
  auto rows = RecordedLog::in_order({row});
  if (!rows) return;
  RecordedLog log{*rows};
  const auto request = log.next();
  if (!request || log.next()) std::abort();
  if (request->recorded_endpoint != (row.endpoint.empty() ? llmd::simulation::kNoEndpoint : 0)) std::abort();
  if (request->blocks.size() != (row.input_tokens + row.output_tokens) / row.block_tokens) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto row = llmd::simulation::parse_recorded_row({reinterpret_cast<const char*>(data), size});
  if (row) {
    check(*row);
    replay(*row);
  } else if (row.error().code != llmd::ErrorCode::kFileInvalid || !row.error().what.starts_with("column ")) {
    std::abort();
  }
  return 0;
}
