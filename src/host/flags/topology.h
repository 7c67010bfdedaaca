#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/endpoint.h"

namespace llmd::flags {

inline constexpr std::uint32_t kWorkersMax = 64;

/// How many workers of which role.
struct Topology {
  struct Group {
    EndpointRole role = EndpointRole::kUnified;
    std::uint32_t count = 1;
    friend bool operator==(const Group&, const Group&) = default;
  };
  std::vector<Group> groups;

  [[nodiscard]] std::uint32_t workers() const noexcept;
  /// Whether prefill and decode are in different workers.
  [[nodiscard]] bool disaggregated() const noexcept;
};

/// Reads "unified:1" or "prefill:1,decode:2". Error kInvalidRequest says what was expected: known roles, 1 to
/// kWorkersMax workers, prefill only together with a role that decodes.
[[nodiscard]] Result<Topology> parse_topology(std::string_view text);

/// Compute threads of one worker when nothing is said: the cores divided by the workers, at least one.
[[nodiscard]] unsigned threads_per_worker(unsigned cores, std::uint32_t workers) noexcept;

}  // namespace llmd::flags
