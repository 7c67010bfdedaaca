#include "simulation/workloads/mooncake_trace.h"

#include <fmt/format.h>

#include <chrono>
#include <ranges>
#include <string>
#include <utility>

namespace llmd::simulation {
namespace {

bool length_fits(std::uint32_t tokens) { return tokens >= 1 && tokens <= kMooncakeTokensMax; }

/// What is wrong with the row, coming after `before_ms`; empty: nothing.
std::string fault(const MooncakeRow& row, std::uint64_t before_ms) {
  if (row.timestamp_ms < before_ms) {
    return fmt::format("timestamp {} comes after {}, expected times that never go back", row.timestamp_ms, before_ms);
  }
  if (row.timestamp_ms > kMooncakeTimestampMaxMs) {
    return fmt::format("timestamp {}, expected at most {}", row.timestamp_ms, kMooncakeTimestampMaxMs);
  }
  if (!length_fits(row.input_tokens) || !length_fits(row.output_tokens)) {
    return fmt::format("lengths {} and {}, expected 1 to {}", row.input_tokens, row.output_tokens, kMooncakeTokensMax);
  }
  const std::uint32_t begun = (row.input_tokens + kMooncakeBlockTokens - 1) / kMooncakeBlockTokens;
  if (row.hash_ids.size() != begun) {
    return fmt::format("{} hash_ids for {} tokens, expected {}", row.hash_ids.size(), row.input_tokens, begun);
  }
  for (const std::uint64_t id : row.hash_ids) {
    if (id > kMooncakeHashIdMax) return fmt::format("hash id {}, expected at most {}", id, kMooncakeHashIdMax);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<MooncakeTrace>> MooncakeTrace::make(std::shared_ptr<const std::vector<MooncakeRow>> rows) {
  std::uint64_t before_ms = 0;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const MooncakeRow& row = (*rows)[i];
    if (const std::string what = fault(row, before_ms); !what.empty()) {
      return fail(ErrorCode::kFileInvalid, fmt::format("row {}: {}", i + 1, what));
    }
    before_ms = row.timestamp_ms;
  }
  return std::unique_ptr<MooncakeTrace>{new MooncakeTrace{std::move(rows)}};
}

MooncakeTrace::MooncakeTrace(std::shared_ptr<const std::vector<MooncakeRow>> rows) noexcept : rows_{std::move(rows)} {}

std::optional<SimRequest> MooncakeTrace::next() {
  if (next_ == rows_->size()) return std::nullopt;
  const MooncakeRow& row = (*rows_)[next_++];
  const std::size_t prompt = row.input_tokens / kMooncakeBlockTokens;
  const std::size_t whole = (std::size_t{row.input_tokens} + row.output_tokens) / kMooncakeBlockTokens;
  std::vector<std::uint64_t> blocks;
  blocks.reserve(whole);
  std::uint64_t name = 0;
  while (blocks.size() < whole) {
    // Of an answer the row's number, which keeps equal prompts' answers apart; its complement is no hash id.
    name = chain_block(name, blocks.size() < prompt ? row.hash_ids[blocks.size()] : ~std::uint64_t{next_});
    blocks.push_back(name);
  }
  return SimRequest{.id = next_,
                    .arrival = milliseconds{row.timestamp_ms},
                    .prompt_tokens = row.input_tokens,
                    .output_tokens = row.output_tokens,
                    .blocks = std::move(blocks)};
}

}  // namespace llmd::simulation
