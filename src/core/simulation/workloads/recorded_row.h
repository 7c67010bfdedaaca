#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::simulation {

/// One request of the log that `llmd gateway --record` writes (docs/recorded-log.md), as far as it is replayed.
struct RecordedRow {
  std::uint64_t timestamp_ms = 0;  // of its arrival, since the log began
  std::uint32_t input_tokens = 1;
  std::uint32_t output_tokens = 1;
  std::uint32_t block_tokens = 64;
  std::vector<std::uint64_t> block_ids{};  // of the whole blocks of the input, each naming all tokens up to its end
  std::string endpoint{};                  // who answered; escapes as they were written. Empty: nobody
  std::uint32_t status = 200;
  std::uint64_t session = 0;   // 0: none told
  std::uint64_t fairness = 0;  // 0: none told
  std::int32_t priority = 0;
  std::optional<float> slo_ttft_ms{};
  std::optional<float> slo_tpot_ms{};

  friend bool operator==(const RecordedRow&, const RecordedRow&) = default;
};

inline constexpr std::uint32_t kRecordedTokensMax = 8'192 * 512;  // of input and of output
inline constexpr std::uint32_t kRecordedBlockTokensMax = 4'096;
inline constexpr std::size_t kRecordedBlocksMax = 262'144;  // of a line

/// Whether a line is one of such a log, by its look, and not of Mooncake's traces, of whose fields it has all.
[[nodiscard]] bool looks_recorded(std::string_view line) noexcept;

/// Parses one line: the fields of docs/recorded-log.md in any order, each once, no others. What is not replayed is read
/// and dropped. Error kFileInvalid: "column N: " with what stands there and what was expected.
[[nodiscard]] Result<RecordedRow> parse_recorded_row(std::string_view line);

}  // namespace llmd::simulation
