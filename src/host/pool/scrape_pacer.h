#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace llmd::pool {

/// Keeps looks at endpoints within a share of one core: from what looks have cost of late it tells by what factor they
/// must come less often than wanted. Pure; not thread-safe.
class ScrapePacer {
 public:
  /// `share_max`: of a core, more than 0.
  explicit ScrapePacer(double share_max) noexcept : share_max_{share_max} {}

  /// `cpu`: what the thread that looks has used since any fixed time; `looks`: made since then. Counts once 200 ms have
  /// passed since the last sample that did.
  void sample(Duration cpu, std::uint64_t looks, TimePoint now) noexcept;
  /// By what all intervals are to be multiplied, at least 1, if `looks_per_second` are wanted. 1 until the cost is
  /// known.
  [[nodiscard]] double stretch(double looks_per_second) const noexcept;
  /// Of a core, between the last two samples that counted.
  [[nodiscard]] double share() const noexcept { return share_; }
  /// Of one look, moving mean; zero: not known yet.
  [[nodiscard]] Duration cost() const noexcept { return cost_; }

 private:
  struct Mark {
    Duration cpu{};
    std::uint64_t looks = 0;
    TimePoint at{};
  };
  const double share_max_;
  std::optional<Mark> last_;
  Duration cost_{};
  double share_ = 0;
};

}  // namespace llmd::pool
