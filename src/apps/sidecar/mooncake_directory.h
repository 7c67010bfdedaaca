#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"

namespace llmd::sidecar {

/// A rank of a prefill pod, and its engine's name.
struct MooncakeRank {
  std::string rank;
  std::string engine_id;
};

/// What prefill pods' bootstrap servers said, for a while: a pod that restarts has other engine ids. Belongs to one
/// loop.
class MooncakeDirectory {
 public:
  static constexpr std::size_t kPodsMax = 1'024;
  static constexpr Duration kFreshFor = seconds{30};

  /// One of the ranks, at random; null if nothing fresh is known of the pod. Valid until the next call.
  [[nodiscard]] const MooncakeRank* find(const std::string& pod, Rng& rng, TimePoint now) const;
  void put(const std::string& pod, std::vector<MooncakeRank> ranks, TimePoint now);
  /// A leg to it failed.
  void forget(const std::string& pod) { pods_.erase(pod); }
  [[nodiscard]] std::size_t size() const noexcept { return pods_.size(); }

 private:
  struct Entry {
    std::vector<MooncakeRank> ranks;
    TimePoint until;
  };
  std::map<std::string, Entry> pods_;
};

/// Reads {"0": {"engine_id": "..."}, ...}. Error kProtocol: not that, or without any engine.
[[nodiscard]] Result<std::vector<MooncakeRank>> read_mooncake_ranks(std::string json);

}  // namespace llmd::sidecar
