#include "discovery/kube_feed.h"

#include <utility>

#include "telemetry/log.h"

namespace llmd::discovery {

KubeFeed::KubeFeed(Loop& loop, KubePool pool, pool::Pool& endpoints, RulesBoard& board, MetricsRegistry& metrics)
    : pool_{std::move(pool)},
      endpoints_{endpoints},
      board_{board},
      state_{pool_.state_options()},
      next_flush_{loop.executor(), [this] { flush(); }},
      synced_gauge_{metrics.gauge("llmd_kube_synced", "1 once the pool and its pods are known")},
      pods_gauge_{metrics.gauge("llmd_kube_pods", "Pods of the pool, in any state")},
      refused_gauge_{metrics.gauge("llmd_kube_pods_refused",
                                   "Ready pods whose address may not be an endpoint (loopback, link-local and such)")},
      left_out_gauge_{metrics.gauge("llmd_kube_pods_left_out", "Pods that there is no room for")},
      events_{metrics.counter("llmd_kube_events_total", "Objects that were listed, and events of watches")},
      lists_{metrics.counter(
          "llmd_kube_lists_total",
          "Lists that came whole: each resource's first, and when the server had forgotten where we were")},
      changes_{metrics.counter("llmd_kube_changes_total", "Times that endpoints or rules were changed")},
      unreadable_{metrics.counter("llmd_kube_objects_unreadable_total", "Objects that could not be read")} {}

KubeFeed::~KubeFeed() = default;

void KubeFeed::replaced(KubeResource resource, const std::vector<KubeObject>& objects) {
  events_.add(static_cast<double>(objects.size()));
  lists_.add();
  state_.replaced(resource, objects);
  note();
}

void KubeFeed::upserted(KubeResource resource, const KubeObject& object) {
  events_.add();
  state_.upserted(resource, object);
  note();
}

void KubeFeed::deleted(KubeResource resource, std::string_view name_space, std::string_view name) {
  events_.add();
  state_.deleted(resource, name_space, name);
  note();
}

void KubeFeed::absent(KubeResource resource) {
  state_.absent(resource);
  note();
}

void KubeFeed::note() {
  if (std::exchange(noted_, true)) return;
  next_flush_.set(std::max(SteadyClock::now(), flushed_at_ + kTogether));
}

void KubeFeed::flush() {
  if (!std::exchange(noted_, false)) return;
  look_at_pods();
  EndpointChanges changes = state_.take_changes();
  auto rules = state_.take_rules();
  if (!changes.empty() || rules != nullptr) changes_.add();
  if (!changes.empty()) {
    log::debug("pool {}: {} endpoints come or change, {} go", pool_.name, changes.put.size(), changes.removed.size());
    endpoints_.change(changes.removed, std::move(changes.put), SteadyClock::now());
  }
  if (rules != nullptr) {
    if (on_rules_) on_rules_(*rules);
    board_.publish(std::move(rules));
  }
  if (state_.synced() != synced_.load(std::memory_order_relaxed)) {
    synced_.store(state_.synced(), std::memory_order_relaxed);
    if (state_.synced())
      log::info("pool {}/{} is known: {} endpoints", pool_.name_space, pool_.name, state_.endpoints().endpoints());
    else
      log::warn("pool {}/{} is gone", pool_.name_space, pool_.name);
  }
  synced_gauge_.set(state_.synced() ? 1 : 0);
  pods_gauge_.set(static_cast<double>(state_.endpoints().pods()));
  refused_gauge_.set(static_cast<double>(state_.endpoints().refused()));
  left_out_gauge_.set(static_cast<double>(state_.endpoints().left_out()));
  tell_trouble();
  flushed_at_ = SteadyClock::now();
}

void KubeFeed::tell_trouble() {
  const auto unreadable = static_cast<double>(state_.unreadable());
  if (unreadable > unreadable_.value()) unreadable_.add(unreadable - unreadable_.value());
  const auto tell = [](const std::string& trouble, std::string& told) {
    if (!trouble.empty() && trouble != told) log::warn("{}", trouble);
    told = trouble;
  };
  tell(state_.last_fault(), told_fault_);
  tell(state_.endpoints().last_refusal(), told_refusal_);
  if (state_.ignores_old_group() && !std::exchange(told_old_group_, true))
    log::warn("objectives and rewrites of {} are ignored, as those of {} are installed", kOldGroup, kLlmDGroup);
}

void KubeFeed::on_pods(std::function<void(WatchedResource)> callback) {
  on_pods_ = std::move(callback);
  look_at_pods();
}

void KubeFeed::look_at_pods() {
  const auto& found = state_.endpoints().pool();
  if (!on_pods_ || !found) return;
  WatchedResource pods = watched_pods(pool_, &*found);
  if (pods.label_selector == pods_watched_) return;
  pods_watched_ = pods.label_selector;
  on_pods_(std::move(pods));
}

std::string KubeFeed::app_protocol() const {
  const auto& found = state_.endpoints().pool();
  return found ? found->app_protocol : std::string{};
}

}  // namespace llmd::discovery
