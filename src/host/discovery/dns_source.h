#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "discovery/dns_endpoints.h"
#include "runtime/event.h"
#include "runtime/loop.h"
#include "runtime/offload.h"
#include "telemetry/metrics.h"

namespace llmd::discovery {

struct DnsSourceOptions {
  DnsName name;
  AddressPolicy addresses{};
  DnsOptions dns{};
  /// The name is looked up as often as its records allow, within these two.
  milliseconds interval_min{1'000};
  milliseconds interval_max{30'000};
  milliseconds retry{5'000};     // after a look that failed
  milliseconds timeout{15'000};  // of one look
};

/// Endpoints from DNS, kept up to date: of one loop. The last good answer stays while the name cannot be looked up;
/// an answer without addresses is a good one.
class DnsSource {
 public:
  using Sink = std::function<void(std::vector<Endpoint>)>;

  /// `sink` gets all endpoints, on the loop, whenever they are others than before. `loop` and `metrics` must outlive
  /// the source, and the source what it has started.
  DnsSource(Loop& loop, DnsSourceOptions options, Sink sink, MetricsRegistry& metrics);

  void start();
  /// Nothing goes to the sink any more.
  void stop();

 private:
  [[nodiscard]] Task<void> keep_up();
  [[nodiscard]] milliseconds take(Result<DnsEndpoints> found);

  Loop& loop_;
  const DnsSourceOptions options_;
  Sink sink_;
  Offload threads_{1, 1};
  Event stopped_;
  std::vector<Endpoint> last_;
  std::string trouble_;  // that was logged last
  Gauge& endpoints_;
  Gauge& refused_;
  Counter& failures_;
};

}  // namespace llmd::discovery
