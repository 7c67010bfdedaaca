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
#include "apps/gateway/prompt_tokenizer.h"
#include "apps/gateway/request_log.h"
#include "apps/gateway/routes.h"
#include "base/budget.h"
#include "discovery/dns_source.h"
#include "discovery/kube_source.h"
#include "net/server.h"
#include "routing/plane.h"
#include "telemetry/metrics.h"

namespace llmd::gateway {

/// What a service is started with, beside its options.
struct Setup {
  Options options;
  routing::ConfigSource config_source;
  routing::LoadedConfig config;                      // load_config() of the source
  std::vector<Endpoint> endpoints;                   // may be empty: they can come later
  std::string endpoint_file;                         // watched for changes; empty: none
  std::optional<discovery::KubePool> kube{};         // endpoints come from there instead
  std::optional<discovery::DnsSourceOptions> dns{};  // endpoints come from there instead
  net::Address admin;                                // empty path: no admin socket
  /// The model file that every endpoint serves; empty: unknown. Only for endpoints that are workers of ours on unix
  /// sockets: they are sent its tokens with each prompt.
  std::string own_model_path;
  std::string own_chat_template;  // what those workers use instead of the model's own; empty: that one
};

/// Who asks: how the answer is named in logs, and which API it has to speak.
struct Caller {
  std::string request_id;
  api::Dialect dialect{};
};

/// A request on its way to a decision, and its stay in flow control.
struct Turn {
  const Caller& caller;
  const std::string& model;
  const openai::RoutingFields& fields;
  std::span<const openai::PromptTokens> prompts;
  TimePoint received{};                       // from the client
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
  [[nodiscard]] pool::Pool& pool() noexcept { return plane_->pool(); }
  [[nodiscard]] routing::Router& router() noexcept { return plane_->router(); }
  [[nodiscard]] MetricsRegistry& metrics() noexcept { return metrics_; }
  [[nodiscard]] routing::LiveConfig& live_config() noexcept { return plane_->live_config(); }

  /// On the home loop: stops accepting, lets answers in flight end until the drain timeout, closes everything.
  [[nodiscard]] Task<void> drain();

 private:
  explicit Service(Loop& home, Setup setup);
  Result<void> open();
  Result<void> open_admin();
  void add_gauges();
  /// Where they are not listed: they come from there from now on.
  Result<void> follow_endpoints();

  // handlers.cpp
  Task<void> handle(net::Request request, net::Exchange& exchange);
  Task<void> serve(const RouteMatch& match, const Caller& caller, net::Request& request, net::Exchange& exchange);
  Task<void> infer(const Route& route, const Caller& caller, net::Request& request, net::Exchange& exchange);
  /// The status that the client saw.
  Task<int> decide_and_dispatch(const Caller& caller, net::Request& request, net::Exchange& exchange);
  // turn.cpp
  Task<std::optional<int>> wait_for_turn(Turn& turn, net::Request& request, net::Exchange& exchange);
  /// Tells flow control what becomes of the request that goes on.
  static void follow(routing::FlowPass& pass, dispatch::DispatchRequest& sent, dispatch::Revocation& revocation);
  Task<int> refuse_turn(const routing::FlowPass& pass, const Caller& caller, net::Exchange& exchange);
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
  const Setup setup_;
  MetricsRegistry metrics_;
  std::unique_ptr<routing::Plane> plane_;
  std::unique_ptr<PromptTokenizer> tokenizer_;  // null: tokens are estimated
  std::unique_ptr<RequestLog> request_log_;     // null: nothing is recorded
  Budget body_budget_;
  std::vector<std::unique_ptr<Loop>> loops_;  // without home
  std::vector<std::unique_ptr<LoopContext>> contexts_;
  discovery::RulesBoard no_rules_;               // the gateway reads none
  std::unique_ptr<discovery::KubeSource> kube_;  // null, as the next: endpoints are listed
  std::unique_ptr<discovery::DnsSource> dns_;
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
};

}  // namespace llmd::gateway
