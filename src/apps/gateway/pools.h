#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "apps/gateway/options.h"
#include "apps/gateway/pool_setup.h"
#include "apps/gateway/prompt_tokenizer.h"
#include "discovery/dns_source.h"
#include "discovery/kube_source.h"
#include "modelroute/route_table.h"
#include "routing/plane.h"
#include "telemetry/metrics.h"

namespace llmd::gateway {

/// One pool with what decides for its requests. Stays until the process ends, maybe without endpoints.
struct ServingPool {
  ServingPool(std::string pool_name, std::size_t place, MetricsRegistry& all);
  ~ServingPool();
  ServingPool(const ServingPool&) = delete;
  ServingPool& operator=(const ServingPool&) = delete;

  const std::string name;
  const std::size_t number;  // among all pools that there ever were
  MetricsRegistry metrics;   // the process's, with the pool's label
  std::unique_ptr<routing::Plane> plane;
  std::unique_ptr<PromptTokenizer> tokenizer{};  // null: tokens are estimated
  std::shared_ptr<const net::TlsClient> tls{};
  discovery::RulesBoard no_rules{};               // the gateway reads none
  std::unique_ptr<discovery::KubeSource> kube{};  // null, as the next: endpoints are listed
  std::unique_ptr<discovery::DnsSource> dns{};
  PoolSetup setup{};     // the last; of the home loop
  bool leaving = false;  // no route in force leads here; of the home loop
};

/// The routes in force. Immutable.
struct RouteView {
  modelroute::RouteTable table;
  std::string default_sla_class;
  std::vector<ServingPool*> pools;              // by their numbers in the table
  std::vector<std::vector<Counter*>> requests;  // by route and target; empty: not counted
  bool named = false;                           // pools and routes have names that anybody wants to see
};

/// All pools of a gateway, on one loop for probes; and the routes in force, read again when their file changes: checked
/// whole with all files that it names, and swapped in. A pool that the file no longer names loses its endpoints once
/// no route leads to it; what it was asked before ends as it would have. Of its home loop, but for view().
class Pools {
 public:
  /// At most so many are known to one process, those that left the file included.
  static constexpr std::size_t kEverMax = 256;

  [[nodiscard]] static Result<std::unique_ptr<Pools>> make(Loop& home, const Options& options, PoolsSetup setup,
                                                           MetricsRegistry& metrics);
  ~Pools();
  Pools(const Pools&) = delete;
  Pools& operator=(const Pools&) = delete;

  void start();
  /// The endpoints are not looked at any more, and what waits is answered.
  void stop();
  /// What waits or ends from here on lets nothing else go.
  void close();
  /// Before the loops that ask them are discarded, and after these have stopped.
  void end_tokenizers();
  /// Reads the routes and the configurations again.
  void reload();

  [[nodiscard]] std::shared_ptr<const RouteView> view() const { return view_.load(); }
  /// The first in force; its name is empty if it is the only one, of flags.
  [[nodiscard]] ServingPool& first() const { return *view()->pools.front(); }
  /// Null if none in force has the name.
  [[nodiscard]] ServingPool* find(std::string_view name) const;
  [[nodiscard]] std::uint64_t waiting() const;  // for flow control
  [[nodiscard]] bool can_serve(TimePoint now) const;

 private:
  Pools(Loop& home, const Options& options, MetricsRegistry& metrics);
  Result<void> apply(PoolsSetup setup);
  Result<void> open(PoolSetup setup);
  static void change(ServingPool& pool, PoolSetup setup);
  void count_requests(const modelroute::Route& route, RouteView& view);
  static void add_gauges(ServingPool& pool);
  /// Where endpoints are not listed: they come from there once it is started.
  Result<void> add_sources(ServingPool& pool);
  static void start(ServingPool& pool);
  [[nodiscard]] ServingPool* known(const PoolSetup& pool) const;  // also one that is gone; null: none
  void swap_in(PoolsSetup setup);
  void look_at_pending();
  void let_go();
  Task<void> keep_up();

  /// Routes that wait for the first look at their new pools.
  struct Pending {
    PoolsSetup setup;
    std::vector<ServingPool*> fresh;
    TimePoint deadline{};
  };

  Loop& home_;
  const Options& options_;
  MetricsRegistry& metrics_;
  Loop probe_loop_{"probes"};
  std::vector<std::unique_ptr<ServingPool>> ever_;
  std::atomic<std::shared_ptr<const RouteView>> view_;
  std::vector<std::weak_ptr<const RouteView>> old_views_;  // that requests may still go by
  std::optional<Pending> pending_{};
  std::string routes_file_;
  std::string default_config_;
  std::pair<std::filesystem::file_time_type, std::uintmax_t> stamp_;
  Counter* applied_ = nullptr;
  Counter* refused_ = nullptr;
  bool started_ = false;
  std::jthread probe_thread_;
};

}  // namespace llmd::gateway
