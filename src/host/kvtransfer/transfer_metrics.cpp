#include "kvtransfer/transfer_metrics.h"

#include <string>

namespace llmd::kvtransfer {
namespace {

constexpr double kSecondsBounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

}  // namespace

TransferMetrics::TransferMetrics(MetricsRegistry& registry, std::size_t counted_block_bytes)
    : registry_{registry},
      counted_block_bytes_{counted_block_bytes},
      bytes_sent_{registry.counter("llmd_kv_sent_bytes_total", "KV bytes sent to other workers.")},
      bytes_received_{registry.counter("llmd_kv_received_bytes_total", "KV bytes pulled from other workers.")},
      blocks_sent_{registry.counter("llmd_kv_sent_blocks_total", "KV blocks sent to other workers.")},
      blocks_received_{registry.counter("llmd_kv_received_blocks_total", "KV blocks pulled from other workers.")},
      recomputed_tokens_{registry.counter("llmd_kv_recomputed_tokens_total",
                                          "Prompt tokens computed here because their blocks could not be pulled.")},
      leases_expired_{registry.counter("llmd_kv_leases_expired_total", "Leases whose blocks nobody fetched in time.")},
      leases_{registry.gauge("llmd_kv_leases", "Finished prompts whose blocks wait for a decode worker.")},
      seconds_{
          registry.histogram("llmd_kv_transfer_seconds", "Time of a pull that brought all blocks.", kSecondsBounds)} {}

void TransferMetrics::count_sent(std::size_t bytes) noexcept {
  bytes_sent_.add(static_cast<double>(counted_block_bytes_ > 0 ? counted_block_bytes_ : bytes));
  blocks_sent_.add();
}

void TransferMetrics::count_received(std::size_t bytes) noexcept {
  bytes_received_.add(static_cast<double>(counted_block_bytes_ > 0 ? counted_block_bytes_ : bytes));
  blocks_received_.add();
}

void TransferMetrics::count_failure(ErrorCode reason) {
  registry_
      .counter("llmd_kv_transfer_failures_total", "Transfers that ended early, by the code of the error.",
               {{"reason", std::string{error_code_name(reason)}}})
      .add();
}

}  // namespace llmd::kvtransfer
