#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "admin/admin_server.h"
#include "api/conversion/dialect.h"
#include "apps/gateway/loop_context.h"
#include "apps/gateway/options.h"
#include "apps/gateway/pools.h"
#include "apps/gateway/prompt_tokenizer.h"
#include "apps/gateway/request_log.h"
#include "apps/gateway/route_request.h"
#include "apps/gateway/routes.h"
#include "base/budget.h"
#include "net/server.h"
#include "routing/plane.h"
#include "telemetry/metrics.h"

namespace llmd::gateway {

/// What a service is started with, beside its options.
struct Setup {
  Options options;
  PoolsSetup pools;
  net::Address admin;  // empty path: no admin socket
};

/// Who asks: how the answer is named in logs, and which API it has to speak.
struct Caller {
  std::string request_id;
  api::Dialect dialect{};
};

/// A request with the route that it takes.
struct Errand {
  const Caller& caller;
  const openai::RoutingFields& fields;
  const RoutedRequest& routed;
  TimePoint received{};           // from the client
  bool may_go_elsewhere = false;  // another target can take what this one's endpoints fail at
};

/// A request on its way to a decision of one pool, and its stay in flow control.
struct Turn {
  const Caller& caller;
  ServingPool& pool;
  const Errand& errand;
  std::string model;                          // as the pool's endpoints call it
  PromptTokenizer::Tokens tokens{};           // none: they are estimated
  std::optional<routing::Work> work{};        // what was found out of it meanwhile
  std::shared_ptr<routing::FlowPass> pass{};  // null: it need not wait
};

/// The gateway: server, pool, router and dispatchers, put together. Hosted by `llmd gateway` and by `llmd up`.
/// One loop is the caller's (`home`: admin, and a share of the connections); the others, and one for probes, have
/// threads of their own.
class Service {
 public:
  /// Binds and starts. Errors: kAddressInUse, kAddressInvalid, kConfigInvalid, kIo. `home` must outlive the service;
  /// its coroutines end when it is run after drain(), or are destroyed with it.
  [[nodiscard]] static Result<std::unique_ptr<Service>> start(Loop& home, Setup setup);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  [[nodiscard]] const net::Address& address() const { return server_->address(); }
  [[nodiscard]] Pools& pools() noexcept { return *pools_; }
  [[nodiscard]] MetricsRegistry& metrics() noexcept { return metrics_; }

  /// On the home loop: stops accepting, lets answers in flight end until the drain timeout, closes everything.
  [[nodiscard]] Task<void> drain();

 private:
  explicit Service(Loop& home, Setup setup);
  Result<void> open();
  Result<void> open_admin();
  [[nodiscard]] admin::AdminSources admin_sources();  // pages.cpp
  void add_gauges();

  // handlers.cpp
  Task<void> handle(net::Request request, net::Exchange& exchange);
  Task<void> serve(const RouteMatch& match, const Caller& caller, net::Request& request, net::Exchange& exchange);
  Task<void> infer(const Route& route, const Caller& caller, net::Request& request, net::Exchange& exchange);
  // decide.cpp
  /// The status that the client saw.
  Task<int> decide_and_dispatch(const Caller& caller, net::Request& request, net::Exchange& exchange);
  /// The same; nothing if another target has to take the request. Pre: there is one, if the errand says so.
  Task<std::optional<int>> serve_at(std::size_t target, const Errand& errand, net::Request& request,
                                    net::Exchange& exchange);
  /// A status if the request is answered without an endpoint.
  Task<std::optional<int>> read_tokens(Turn& turn, net::Request& request, net::Exchange& exchange);
  Task<std::optional<int>> send(routing::Route decided, Turn& turn, net::Request& request, net::Exchange& exchange);
  // turn.cpp
  Task<std::optional<int>> wait_for_turn(Turn& turn, net::Request& request, net::Exchange& exchange);
  /// Tells flow control what becomes of the request that goes on.
  static void follow(routing::FlowPass& pass, dispatch::DispatchRequest& sent, dispatch::Revocation& revocation);
  Task<int> refuse_turn(const Turn& turn, net::Exchange& exchange);
  void note(const Outcome& outcome);
  /// To the recorded log, if there is one.
  void record(const net::Request& request, TimePoint arrived, RequestFacts facts, const Outcome& outcome);
  Task<int> answer_text(Result<std::string> json, const Caller& caller, net::Exchange& exchange);
  /// Answers, and keeps the reason for `llmd explain`.
  Task<int> refuse(Error error, const Caller& caller, net::Exchange& exchange);
  Task<int> answer_error(Error error, const Caller& caller, net::Exchange& exchange, std::string_view allow = {});
  /// The same with fields of its own, of which Retry-After takes the place of the usual one.
  Task<int> answer_error_with(Error error, const Caller& caller, net::Exchange& exchange, net::Headers headers);
  Task<void> answer_json(int status, std::string json, const Caller& caller, net::Exchange& exchange);
  Result<void> check_request(const RouteMatch& match, const net::Request& request) const;
  // pages.cpp
  [[nodiscard]] std::string models_json();
  [[nodiscard]] Result<std::string> model_json(std::string_view name);
  [[nodiscard]] std::string health_json(bool ok);
  [[nodiscard]] std::string config_json();
  [[nodiscard]] std::string summary_json();
  [[nodiscard]] Task<std::string> metrics_page(LoopContext& context);

  [[nodiscard]] LoopContext& context_of(Loop& loop);
  /// Whether no more inference requests may come. What waits for flow control does not count: it has bounds of its own.
  [[nodiscard]] bool full() const;
  void count(LoopContext& context, const Route& route, int status);

  Loop& home_;
  Setup setup_;  // constant from open() on, and without its pools
  MetricsRegistry metrics_;
  std::unique_ptr<Pools> pools_;
  std::unique_ptr<RequestLog> request_log_;  // null: nothing is recorded
  Budget body_budget_;
  std::vector<std::unique_ptr<Loop>> loops_;  // without home
  std::vector<std::unique_ptr<LoopContext>> contexts_;
  std::unique_ptr<admin::AdminServer> admin_;
  std::unique_ptr<net::Server> server_;
  std::vector<std::jthread> threads_;
  std::atomic<std::uint32_t> in_flight_{0};
  std::atomic<bool> draining_{false};
  TimePoint started_at_{};

  Gauge& in_flight_gauge_;
  Histogram& request_seconds_;
  Histogram& ttft_seconds_;
  Counter& prompt_tokens_;
  Counter& cached_tokens_;
  Counter& completion_tokens_;
  Counter& kv_bytes_;
  Counter& recomputed_tokens_;
  Counter& target_changes_;
};

}  // namespace llmd::gateway
