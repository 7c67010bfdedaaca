#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::simulation {

/// One request of a Mooncake trace (kvcache-ai/Mooncake, FAST25-release/README.md and traces/).
struct MooncakeRow {
  std::uint64_t timestamp_ms = 0;  // since the start of the trace
  std::uint32_t input_tokens = 1;
  std::uint32_t output_tokens = 1;
  std::vector<std::uint64_t> hash_ids{};  // one for each block of kMooncakeBlockTokens of the input, begun ones too

  friend bool operator==(const MooncakeRow&, const MooncakeRow&) = default;
};

inline constexpr std::uint32_t kMooncakeBlockTokens = 512;
inline constexpr std::size_t kMooncakeBlocksMax = 8'192;
inline constexpr std::uint32_t kMooncakeTokensMax = 8'192 * kMooncakeBlockTokens;  // of input and of output
inline constexpr std::uint64_t kMooncakeTimestampMaxMs = 366ULL * 24 * 3'600 * 1'000;
inline constexpr std::uint64_t kMooncakeHashIdMax = (1ULL << 53) - 1;  // what every reader of JSON keeps exactly

/// Parses one line of the trace: a JSON object of exactly timestamp, input_length, output_length and hash_ids, in any
/// order. Numbers are whole, lengths at least 1, nothing follows the object but white space. Error kFileInvalid:
/// "column N: " with what stands there and what was expected; columns are bytes from 1.
[[nodiscard]] Result<MooncakeRow> parse_mooncake_row(std::string_view line);

}  // namespace llmd::simulation
