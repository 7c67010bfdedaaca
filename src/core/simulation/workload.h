#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace llmd::simulation {

inline constexpr std::uint32_t kNoEndpoint = std::numeric_limits<std::uint32_t>::max();

/// One request of a workload.
struct SimRequest {
  std::uint64_t id = 0;
  /// Of a session's first turn: since the start. Of a later one: how long the user thinks after the turn before ended.
  Duration arrival{};
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
  /// Names of the whole blocks of prompt and output, of Workload::block_tokens() tokens each. A name stands for all
  /// tokens from the beginning to the block's end, so equal names mean equal beginnings. The first prompt_tokens /
  /// block_tokens are the prompt's.
  std::vector<std::uint64_t> blocks{};
  std::uint32_t session = 0;
  std::uint32_t tenant = 0;
  std::int32_t priority = 0;  // higher first
  std::optional<float> slo_ttft_ms{};
  std::optional<float> slo_tpot_ms{};
  std::uint32_t recorded_endpoint = kNoEndpoint;  // the place of the one that it was sent to, where that is known
  std::shared_ptr<const SimRequest> next_turn{};  // null: the session ends
};

/// Requests in order of arrival (later turns hang on the first). Not thread-safe. The same seed gives the same
/// requests.
class Workload {
 public:
  Workload() = default;
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;
  virtual ~Workload() = default;

  /// The next session's first turn; nothing at the end. Arrivals never go back.
  [[nodiscard]] virtual std::optional<SimRequest> next() = 0;
  [[nodiscard]] virtual std::uint32_t block_tokens() const noexcept = 0;
};

/// The name of a block that follows `parent` (0: none) with this content. Never 0.
[[nodiscard]] std::uint64_t chain_block(std::uint64_t parent, std::uint64_t content) noexcept;

}  // namespace llmd::simulation
