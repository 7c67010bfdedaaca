#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "discovery/kube_pool.h"
#include "discovery/kube_state.h"
#include "discovery/request_rules.h"
#include "pool/pool.h"
#include "runtime/deadline.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::discovery {

/// Takes what watches of a pool tell, and keeps endpoints and rules up to date with it. Events that come within 20 ms
/// of the last change are one change, so that a burst of thousands costs little; the first of a quiet time counts at
/// once. Of one loop, but for what says otherwise.
class KubeFeed {
 public:
  static constexpr milliseconds kTogether{20};

  /// All but `pool` must outlive it.
  KubeFeed(Loop& loop, KubePool pool, pool::Pool& endpoints, RulesBoard& board, MetricsRegistry& metrics);
  ~KubeFeed();
  KubeFeed(const KubeFeed&) = delete;
  KubeFeed& operator=(const KubeFeed&) = delete;

  void replaced(KubeResource resource, const std::vector<KubeObject>& objects);
  void upserted(KubeResource resource, const KubeObject& object);
  void deleted(KubeResource resource, std::string_view name_space, std::string_view name);
  void absent(KubeResource resource);

  /// Called with what must be watched of pods from now on: once the pool is known, and when its selector changes. At
  /// once, if it is known.
  void on_pods(std::function<void(WatchedResource)> callback);
  /// Called with rules before they count.
  void on_rules(std::function<void(const RequestRules&)> callback) { on_rules_ = std::move(callback); }

  [[nodiscard]] const KubePool& pool() const noexcept { return pool_; }
  /// Any thread. Pool and pods are known.
  [[nodiscard]] bool synced() const noexcept { return synced_.load(std::memory_order_relaxed); }
  /// Of the pool; empty: not said.
  [[nodiscard]] std::string app_protocol() const;

 private:
  void note();
  void flush();
  void look_at_pods();
  void tell_trouble();

  const KubePool pool_;
  pool::Pool& endpoints_;
  RulesBoard& board_;
  KubeState state_;
  Deadline next_flush_;
  bool noted_ = false;
  TimePoint flushed_at_{};
  std::function<void(WatchedResource)> on_pods_;
  std::function<void(const RequestRules&)> on_rules_;
  std::optional<std::string> pods_watched_;  // the selector of the last on_pods()
  std::atomic<bool> synced_{false};
  std::string told_fault_;
  std::string told_refusal_;
  bool told_old_group_ = false;
  Gauge& synced_gauge_;
  Gauge& pods_gauge_;
  Gauge& refused_gauge_;
  Gauge& left_out_gauge_;
  Counter& events_;
  Counter& lists_;
  Counter& changes_;
  Counter& unreadable_;
};

}  // namespace llmd::discovery
