#pragma once

#include "base/clock.h"

namespace llmd {

/// The monotonic clock of the machine. Thread-safe; a read costs about 20 ns.
class RealClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return SteadyClock::now(); }
};

}  // namespace llmd
