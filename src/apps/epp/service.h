#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "admin/admin_server.h"
#include "apps/epp/options.h"
#include "apps/epp/own_metrics.h"
#include "apps/epp/stream_context.h"
#include "base/budget.h"
#include "discovery/kube_source.h"
#include "discovery/request_rules.h"
#include "eppmetrics/epp_metrics.h"
#include "kube/access_review.h"
#include "kube/leader_elector.h"
#include "net/server.h"
#include "net/tls_server.h"
#include "routing/plane.h"
#include "rpc/server.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::epp {

/// What a service is started with, beside its options.
struct Setup {
  Options options;
  routing::ConfigSource config_source;
  routing::LoadedConfig config;
  std::vector<Endpoint> endpoints;
  std::string endpoint_file;
  std::optional<discovery::KubePool> kube{};  // endpoints come from there
  net::Address admin;                         // empty path: no admin socket
};

/// The endpoint picker: ext_proc service, health service and metrics page around a plane. The home loop, the caller's,
/// probes endpoints and answers health checks and pages; streams have loops with threads of their own.
class Service {
 public:
  /// Binds and starts. Errors: kAddressInUse, kAddressInvalid, kConfigInvalid, kFileInvalid, kIo. `home` must outlive
  /// the service; its coroutines end when it is run after drain(), or are destroyed with it.
  [[nodiscard]] static Result<std::unique_ptr<Service>> start(Loop& home, Setup setup);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  [[nodiscard]] const net::Address& address() const { return server_->address(); }
  [[nodiscard]] const net::Address& health_address() const { return health_server_->address(); }
  [[nodiscard]] const net::Address& metrics_address() const { return pages_->address(); }
  [[nodiscard]] routing::Plane& plane() noexcept { return *plane_; }
  [[nodiscard]] MetricsRegistry& metrics() noexcept { return metrics_; }

  /// On the home loop: not ready from now on; streams are served until the drain timeout, as proxies learn late that
  /// the picker goes; what is open then has a few seconds to end.
  [[nodiscard]] Task<void> drain();

 private:
  Service(Loop& home, Setup setup);
  Result<void> open();
  Result<void> follow_kubernetes();
  [[nodiscard]] Task<void> refresh_metrics();
  Result<void> open_tracing();
  Result<void> open_streams();
  Result<void> open_pages();
  Result<void> open_admin();
  [[nodiscard]] Task<rpc::Status> process(rpc::ServerCall& call);
  [[nodiscard]] Task<void> answer_page(net::Request request, net::Exchange& exchange);
  [[nodiscard]] bool is_serving(std::string_view service);
  [[nodiscard]] Task<void> watch_readiness();
  void stand_for_election();
  [[nodiscard]] Task<void> elect();
  /// False: it has been answered.
  [[nodiscard]] Task<bool> may_read(const net::Request& request, net::Response& refusal);
  /// It takes requests: not draining, the pool is known, and its protocol is one that the parsers read.
  [[nodiscard]] bool ready();
  [[nodiscard]] std::string config_json();
  [[nodiscard]] std::string summary_json();
  [[nodiscard]] StreamContext& context_of(const Loop& loop);

  Loop& home_;
  const Setup setup_;
  const StreamOptions stream_options_;
  MetricsRegistry metrics_;
  OwnMetrics own_metrics_{metrics_};
  std::unique_ptr<eppmetrics::EppMetrics> epp_metrics_;
  std::shared_ptr<net::TlsServer> tls_;          // null: without TLS
  std::shared_ptr<net::TlsServer> metrics_tls_;  // of the metrics port; null: without TLS
  std::unique_ptr<tracing::Tracer> tracer_;      // null: nothing is traced
  Budget body_budget_;
  Budget message_budget_;
  discovery::RulesBoard rules_;
  std::unique_ptr<routing::Plane> plane_;
  std::unique_ptr<CurrentPlan> plans_;             // of the home loop
  std::unique_ptr<discovery::KubeSource> kube_;    // null: endpoints are listed in a file
  std::unique_ptr<kube::AccessReview> review_;     // null: everyone may read the pages
  std::unique_ptr<kube::LeaderElector> election_;  // null: every replica serves
  Event election_over_{home_};                     // its lease is released
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<StreamContext>> contexts_;
  std::unique_ptr<admin::AdminServer> admin_;
  std::unique_ptr<net::Server> pages_;
  std::unique_ptr<rpc::Server> health_server_;
  std::unique_ptr<rpc::Server> server_;
  std::vector<std::jthread> threads_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> seen_ready_{false};  // ready(), as the home loop saw it last
  TimePoint started_at_{};
};

}  // namespace llmd::epp
