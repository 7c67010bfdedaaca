#include "pool/anomaly_report.h"

#include "telemetry/log.h"

namespace llmd::pool {
namespace {

Counter& ejections(MetricsRegistry& metrics, TrafficShare::Cause cause) {
  return metrics.counter("llmd_gateway_endpoint_ejections_total",
                         "Endpoints that began to lose traffic as they stood out from their peers",
                         {{"reason", std::string{cause_name(cause)}}});
}

}  // namespace

AnomalyReport::AnomalyReport(MetricsRegistry& metrics)
    : metrics_{metrics},
      slow_{ejections(metrics, TrafficShare::Cause::kSlow)},
      failing_{ejections(metrics, TrafficShare::Cause::kFailing)} {}

void AnomalyReport::tell(const Anomalies& anomalies) {
  for (const Anomalies::Share& change : anomalies.shares) tell_share(change);
  for (const Anomalies::Flat& change : anomalies.flats) tell_flat(change);
}

void AnomalyReport::tell_share(const Anomalies::Share& change) {
  metrics_
      .gauge("llmd_gateway_endpoint_share",
             "Share of its traffic that an endpoint gets which stands out from its peers",
             {{"endpoint", change.endpoint}})
      .set(static_cast<double>(change.now.share));
  if (change.now.share >= 1) {
    log::info("{} has its full share of traffic again", change.endpoint);
    return;
  }
  if (change.now.share > change.before.share) {
    log::info("{} comes back step by step: {:.0f} % of its traffic", change.endpoint, change.now.share * 100);
    return;
  }
  if (change.before.share >= 1) (change.now.cause == TrafficShare::Cause::kSlow ? slow_ : failing_).add();
  log::warn("{} is {}; look at its machine and its log. --outlier-detection off leaves such endpoints alone",
            change.endpoint, describe(change.now));
}

void AnomalyReport::tell_flat(const Anomalies::Flat& change) {
  const std::string reading{health::reading_name(change.reading)};
  metrics_
      .gauge("llmd_gateway_flat_metric", "1 for a reading that an endpoint goes on to tell without measuring it",
             {{"endpoint", change.endpoint}, {"metric", reading}})
      .set(change.flat ? 1 : 0);
  if (change.flat) {
    log::warn("{} tells the same {} whatever it serves; the reading counts as missing. Look at its /metrics",
              change.endpoint, reading);
  } else {
    log::info("{} of {} counts again", reading, change.endpoint);
  }
}

}  // namespace llmd::pool
