#include "simulation/workloads/recorded_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kClientLeft = 499;

bool is_replayed(const RecordedRow& row) {
  return (row.status >= 200 && row.status < 300) || row.status == kClientLeft;
}

/// Names that differ in their length alone differ in a number at their end, mostly.
bool numbers_in_order(std::string_view a, std::string_view b) {
  return std::pair{a.size(), a} < std::pair{b.size(), b};
}

}  // namespace

Result<std::shared_ptr<const std::vector<RecordedRow>>> RecordedLog::in_order(std::vector<RecordedRow> rows) {
  std::erase_if(rows, [](const RecordedRow& row) { return !is_replayed(row); });
  if (rows.empty()) return fail(ErrorCode::kFileInvalid, "no request of it was served");
  std::ranges::sort(rows, {}, &RecordedRow::timestamp_ms);
  for (const RecordedRow& row : rows) {
    if (row.block_tokens == rows.front().block_tokens) continue;
    return fail(ErrorCode::kFileInvalid,
                fmt::format("blocks of {} tokens and of {}", rows.front().block_tokens, row.block_tokens),
                "replay the parts of the log apart");
  }
  return std::make_shared<const std::vector<RecordedRow>>(std::move(rows));
}

RecordedLog::RecordedLog(std::shared_ptr<const std::vector<RecordedRow>> rows) : rows_{std::move(rows)} {
  std::set<std::string_view, decltype(&numbers_in_order)> names{&numbers_in_order};
  for (const RecordedRow& row : *rows_) {
    if (!row.endpoint.empty()) names.insert(row.endpoint);
  }
  endpoints_.assign(names.begin(), names.end());
}

std::uint32_t RecordedLog::place_of(std::string_view endpoint) const {
  const auto found = std::ranges::lower_bound(endpoints_, endpoint, &numbers_in_order);
  if (found == endpoints_.end() || *found != endpoint) return kNoEndpoint;
  return static_cast<std::uint32_t>(found - endpoints_.begin());
}

std::uint32_t RecordedLog::Numbers::of(std::uint64_t id) {
  if (id == 0) return 0;
  return numbers_.try_emplace(id, static_cast<std::uint32_t>(numbers_.size() + 1)).first->second;
}

std::optional<SimRequest> RecordedLog::next() {
  if (next_ == rows_->size()) return std::nullopt;
  const RecordedRow& row = (*rows_)[next_++];
  const std::size_t whole = (std::size_t{row.input_tokens} + row.output_tokens) / row.block_tokens;
  std::vector<std::uint64_t> blocks;
  blocks.reserve(whole);
  std::uint64_t name = 0;
  while (blocks.size() < whole) {
    // Of an answer the row's number, which keeps equal prompts' answers apart; its complement is no recorded id.
    name =
        chain_block(name, blocks.size() < row.block_ids.size() ? row.block_ids[blocks.size()] : ~std::uint64_t{next_});
    blocks.push_back(name);
  }
  return SimRequest{.id = next_,
                    .arrival = milliseconds{row.timestamp_ms},
                    .prompt_tokens = row.input_tokens,
                    .output_tokens = row.output_tokens,
                    .blocks = std::move(blocks),
                    .session = sessions_.of(row.session),
                    .tenant = tenants_.of(row.fairness),
                    .priority = row.priority,
                    .slo_ttft_ms = row.slo_ttft_ms,
                    .slo_tpot_ms = row.slo_tpot_ms,
                    .recorded_endpoint = place_of(row.endpoint)};
}

}  // namespace llmd::simulation
