#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "simulation/workload.h"
#include "simulation/workloads/mooncake_row.h"

namespace llmd::simulation {

/// A Mooncake trace as it was recorded: single requests with their times, lengths and shared blocks. A hash id stands
/// for all tokens up to its block's end (each has one parent in conversation_trace.jsonl). Other traces may not keep
/// that, so a block is named by its id and those before it. The last id of an input that does not end with a block
/// names a block that is not whole, and is left out.
///
/// The trace says nothing of what was answered: blocks that outputs fill get fresh names after the prompt's last whole
/// one. So a later request whose prompt holds such an answer is not recognised as far as the answer goes, and hit
/// ratios are those of prompts alone. Sessions are not told either: no request has one, nor a next turn.
class MooncakeTrace final : public Workload {
 public:
  /// Error kFileInvalid, "row N: " from 1: time goes back, a length is out of parse_mooncake_row's bounds, or hash_ids
  /// has not one id for each begun block of the input.
  [[nodiscard]] static Result<std::unique_ptr<MooncakeTrace>> make(
      std::shared_ptr<const std::vector<MooncakeRow>> rows);

  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return kMooncakeBlockTokens; }

 private:
  explicit MooncakeTrace(std::shared_ptr<const std::vector<MooncakeRow>> rows) noexcept;

  std::shared_ptr<const std::vector<MooncakeRow>> rows_;  // shared by the runs that compare policies
  std::size_t next_ = 0;
};

}  // namespace llmd::simulation
