#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/sidecar/options.h"
#include "base/error.h"
#include "discovery/kube_source.h"
#include "discovery/request_rules.h"
#include "pd/allow_list.h"
#include "pool/pool.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::sidecar {

/// The hosts of a pool's pods that are ready, as Kubernetes tells them, and those that flags name. Nobody's until the
/// pool is known.
class PoolAllowSource final : public pd::AllowSource {
 public:
  /// Errors of the search for the API server, kAddressInvalid. All must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<PoolAllowSource>> start(Loop& loop, const Options& options,
                                                                      MetricsRegistry& metrics);
  [[nodiscard]] std::shared_ptr<const pd::AllowList> current() const override;
  void stop() override { kube_->stop(); }

 private:
  explicit PoolAllowSource(std::vector<std::string> others) : others_{std::move(others)} {}

  const std::vector<std::string> others_;
  mutable pool::Pool pods_{{}};
  discovery::RulesBoard no_rules_;
  std::unique_ptr<discovery::KubeSource> kube_;
  mutable std::mutex mutex_;  // of the two below
  mutable std::shared_ptr<const pool::PoolView> seen_;
  mutable std::shared_ptr<const pd::AllowList> list_;
};

/// Whom legs may be sent to: everyone, the hosts of --allowed-hosts, or the pods of --inference-pool. `loop` watches.
[[nodiscard]] Result<std::unique_ptr<pd::AllowSource>> make_allow_source(Loop& loop, const Options& options,
                                                                         MetricsRegistry& metrics);

}  // namespace llmd::sidecar
