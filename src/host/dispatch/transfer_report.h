#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmd::dispatch {

/// The header in which a decode worker tells what was moved for its answer (apps/worker/kv_transfer.h).
inline constexpr std::string_view kTransferHeader = "x-llmd-kv-transfer";

struct TransferReport {
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;
  std::uint32_t recomputed_tokens = 0;

  friend bool operator==(const TransferReport&, const TransferReport&) = default;
};

/// Reads "blocks=12, bytes=8847360, recomputed_tokens=0"; other members are passed over. No value if one of the three
/// is missing or no number: the report is for people, so a worker of another version costs a line of it and nothing
/// else.
[[nodiscard]] std::optional<TransferReport> parse_transfer_report(std::string_view header) noexcept;

}  // namespace llmd::dispatch
