#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/sidecar/sidecar_metrics.h"
#include "base/clock.h"
#include "base/error.h"
#include "pd/moriio.h"
#include "runtime/loop.h"

namespace llmd::sidecar {

/// MoRI-IO's engines reach each other by IP address: the names among the hosts are looked up at the start and then each
/// 30 s, as a pod that restarts has another. A name that is not found keeps its last address.
class MoriioHosts {
 public:
  static constexpr Duration kInterval = seconds{30};
  static constexpr Duration kLookupMax = seconds{5};

  MoriioHosts(pd::MoriioOptions names, SidecarMetrics& metrics);
  /// Thread-safe. With addresses where they are known.
  [[nodiscard]] std::shared_ptr<const pd::MoriioOptions> current() const { return current_.load(); }
  /// On `loop`, as long as it runs. Does nothing if all hosts are addresses.
  [[nodiscard]] Task<void> keep_resolved(Loop& loop);

 private:
  Task<void> look_up(Loop& loop, std::string name);
  [[nodiscard]] std::string address_of(const std::string& host) const;
  [[nodiscard]] std::vector<std::string> addresses_of(const std::vector<std::string>& hosts) const;
  void publish();

  const pd::MoriioOptions names_;
  SidecarMetrics& metrics_;
  std::map<std::string, std::string> addresses_;  // of names; empty: not found yet
  std::atomic<std::shared_ptr<const pd::MoriioOptions>> current_;
};

}  // namespace llmd::sidecar
