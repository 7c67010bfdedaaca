#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/generation_request.h"
#include "api/openai/prompt_tokens.h"
#include "apps/worker/call.h"
#include "apps/worker/event_router.h"
#include "apps/worker/kv_exchange.h"
#include "apps/worker/loaded_model.h"
#include "apps/worker/options.h"
#include "apps/worker/worker_metrics.h"
#include "base/rng.h"
#include "net/server.h"
#include "runtime/loop.h"
#include "runtime/offload.h"
#include "telemetry/metrics.h"

namespace llmd::worker {

enum class Phase : std::uint8_t { kLoading, kReady, kDraining };

struct RouteMatch;

/// The HTTP side of the worker: authenticates, finds the route, and holds what routes share. Belongs to one loop.
class Service {
 public:
  /// `offload`: of whoever serves; several services can share one.
  Service(Loop& loop, const Options& options, MetricsRegistry& registry, Offload& offload);
  /// A pool as large as one loop can use.
  [[nodiscard]] static std::unique_ptr<Offload> make_offload();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// The server's handler.
  [[nodiscard]] Task<void> handle(net::Request request, net::Exchange& exchange);

  /// Loading is done: from now on /ready says so.
  void set_model(LoadedModel model);
  /// What moves blocks to and from other workers. After set_model(), whose engine it uses.
  void set_kv(std::unique_ptr<KvExchange> kv) { kv_ = std::move(kv); }
  void set_draining();
  /// How much of the model is loaded. From any thread.
  void set_loaded_percent(unsigned percent) noexcept { loaded_percent_.store(percent, std::memory_order_relaxed); }
  [[nodiscard]] unsigned loaded_percent() const noexcept { return loaded_percent_.load(std::memory_order_relaxed); }

  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  /// Pre: set_model() was called. Routes that need it are only reached then.
  [[nodiscard]] LoadedModel& model() noexcept { return *model_; }
  [[nodiscard]] bool has_model() const noexcept { return model_.has_value(); }
  /// Null until set_kv().
  [[nodiscard]] KvExchange* kv() noexcept { return kv_.get(); }
  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] Loop& loop() noexcept { return loop_; }
  [[nodiscard]] WorkerMetrics& metrics() noexcept { return metrics_; }
  [[nodiscard]] MetricsRegistry& registry() noexcept { return registry_; }
  [[nodiscard]] const std::shared_ptr<EventRouter>& router() const noexcept { return router_; }
  [[nodiscard]] Offload& offload() noexcept { return offload_; }
  /// When a request that came now must be answered.
  [[nodiscard]] TimePoint deadline(const Call& call) const { return call.arrived() + options_.request_timeout; }

  /// The prompts' tokens as our gateway made them. None unless the listener is a unix socket: its file has mode 0600,
  /// so that whoever reaches it is this user and could as well be this process. On any other listener a client could
  /// name tokens that are not those of its text.
  [[nodiscard]] std::vector<openai::PromptTokens> known_prompts(const openai::GenerationRequest& request) const;
  void count_prompts(std::size_t prompts, std::size_t known);

  /// Error kModelNotFound unless the name is empty, "default" or one of the served names.
  [[nodiscard]] Result<void> check_model(std::string_view name) const;

  /// Runs `work` here if the request is small, else on the pool: `bytes` of text cost about 1 us for 4 of them.
  template <class Work>
  [[nodiscard]] Task<std::invoke_result_t<Work>> run_prepared(const Call& call, bool heavy, Work work) {
    if (!heavy && call.request().body.size() <= kInlineBytesMax) co_return work();
    co_return co_await offload_.run(loop_, deadline(call), std::move(work));
  }
  static constexpr std::size_t kInlineBytesMax = 16U << 10U;

 private:
  [[nodiscard]] RouteMatch route_of(const net::Request& request) const;
  [[nodiscard]] Result<void> admit(const net::Request& request, bool needs_model) const;
  [[nodiscard]] std::string request_id(const net::Request& request);

  Loop& loop_;
  const Options& options_;
  MetricsRegistry& registry_;
  WorkerMetrics metrics_;
  std::shared_ptr<EventRouter> router_;
  Offload& offload_;
  Counter& prompts_tokenised_here_;
  Counter& prompts_tokenised_before_;
  Rng rng_;
  const bool trusts_listener_;
  Phase phase_ = Phase::kLoading;
  std::atomic<unsigned> loaded_percent_{0};
  std::optional<LoadedModel> model_;
  std::unique_ptr<KvExchange> kv_;  // goes before the engine
};

}  // namespace llmd::worker
