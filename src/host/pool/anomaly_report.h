#pragma once

#include "pool/pool.h"
#include "telemetry/metrics.h"

namespace llmd::pool {

/// Tells operators of endpoints that stand out: a line in the log for each change, and metrics. Series are made when an
/// endpoint stands out for the first time, and stay. One thread at a time.
class AnomalyReport {
 public:
  explicit AnomalyReport(MetricsRegistry& metrics);
  void tell(const Anomalies& anomalies);

 private:
  void tell_share(const Anomalies::Share& change);
  void tell_flat(const Anomalies::Flat& change);

  MetricsRegistry& metrics_;
  Counter& slow_;
  Counter& failing_;
};

}  // namespace llmd::pool
