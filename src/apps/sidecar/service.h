#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "apps/sidecar/loop_context.h"
#include "apps/sidecar/moriio_hosts.h"
#include "apps/sidecar/options.h"
#include "apps/sidecar/sidecar_metrics.h"
#include "base/budget.h"
#include "net/server.h"
#include "pd/allow_list.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::sidecar {

/// The running sidecar: a server for each rank and the metrics page. `home` is the loop of signals, certificates, names
/// and the page; requests run on loops of their own, a connection on one.
class Service {
 public:
  /// Errors: of TLS files, addresses, the allow-list.
  [[nodiscard]] static Result<std::unique_ptr<Service>> start(Loop& home, Options options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  [[nodiscard]] const net::Address& address() const noexcept { return servers_.front()->address(); }
  [[nodiscard]] MetricsRegistry& metrics() noexcept { return metrics_; }
  /// Accepts no more, and waits for requests under way, at most for the drain timeout.
  [[nodiscard]] Task<void> drain();

 private:
  Service(Loop& home, Options options);
  Result<void> open();
  Result<void> open_ports();
  Result<void> open_page();
  Task<void> answer_page(net::Request request, net::Exchange& exchange);
  [[nodiscard]] LoopContext& context_of(const Loop& loop);

  Loop& home_;
  const Options options_;
  MetricsRegistry metrics_;
  SidecarMetrics own_metrics_;
  Budget body_budget_;
  MoriioHosts moriio_;
  std::unique_ptr<pd::AllowSource> allowed_;
  std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<LoopContext>> contexts_;
  std::vector<std::unique_ptr<net::Server>> servers_;  // by rank
  std::unique_ptr<net::Server> page_;
  std::vector<std::jthread> threads_;
};

}  // namespace llmd::sidecar
