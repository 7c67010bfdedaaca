#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/error.h"
#include "telemetry/metrics.h"

namespace llmd::kvtransfer {

/// The series of block transfers, of both sides. Thread-safe.
class TransferMetrics {
 public:
  /// `counted_block_bytes`: what each block counts as, if smaller ones travel in its stead; 0: as what it is.
  explicit TransferMetrics(MetricsRegistry& registry, std::size_t counted_block_bytes = 0);

  void count_sent(std::size_t bytes) noexcept;
  void count_received(std::size_t bytes) noexcept;
  /// One pull that brought all that was asked for.
  void observe_pull(Duration took) noexcept { seconds_.observe(to_seconds(took)); }
  /// A pull or a conversation that ended early, by its error's code.
  void count_failure(ErrorCode reason);
  void count_recomputed_tokens(std::uint64_t tokens) noexcept { recomputed_tokens_.add(static_cast<double>(tokens)); }
  void count_expired_leases(std::size_t leases) noexcept { leases_expired_.add(static_cast<double>(leases)); }
  void set_leases(std::size_t leases) noexcept { leases_.set(static_cast<double>(leases)); }

 private:
  MetricsRegistry& registry_;
  const std::size_t counted_block_bytes_;
  Counter& bytes_sent_;
  Counter& bytes_received_;
  Counter& blocks_sent_;
  Counter& blocks_received_;
  Counter& recomputed_tokens_;
  Counter& leases_expired_;
  Gauge& leases_;
  Histogram& seconds_;
};

}  // namespace llmd::kvtransfer
