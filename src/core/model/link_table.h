#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/endpoint.h"

namespace llmd {

/// What was measured of the network from one endpoint to another.
struct Link {
  Reading<float> latency_ms{};      // round trip
  Reading<float> bandwidth_mbps{};  // megabytes a second, as Signal::kBandwidthMbps
  Reading<float> loss{};            // 0..1 of the packets
};

/// The network between endpoints, by the pair of their names; a link counts in one direction. Immutable once made, so
/// shared by all threads: new measurements make a new table.
class LinkTable {
 public:
  struct Entry {
    std::string from{};
    std::string to{};
    Link link{};
  };
  /// 256 endpoints with each other, about 12 MB.
  static constexpr std::size_t kLinksMax = 65'536;

  /// Of two entries of one pair the later counts. New pairs beyond `links_max` are dropped and counted.
  explicit LinkTable(std::vector<Entry> entries, std::size_t links_max = kLinksMax);

  /// Null if nothing is known of the pair. O(1), no allocation.
  [[nodiscard]] const Link* find(std::string_view from, std::string_view to) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return links_.size(); }
  /// Entries that found no room.
  [[nodiscard]] std::size_t dropped() const noexcept { return dropped_; }

 private:
  struct PairView {
    std::string_view from;
    std::string_view to;
  };
  struct Pair {
    std::string from;
    std::string to;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(PairView pair) const noexcept;
    std::size_t operator()(const Pair& pair) const noexcept { return (*this)(PairView{pair.from, pair.to}); }
  };
  struct Equal {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept {
      return a.from == b.from && a.to == b.to;
    }
  };

  std::unordered_map<Pair, Link, Hash, Equal> links_;
  std::size_t dropped_ = 0;
};

}  // namespace llmd
