#pragma once

#include <memory>
#include <string>
#include <vector>

#include "discovery/kube_feed.h"
#include "kube/client.h"
#include "kube/reflector.h"

namespace llmd::discovery {

/// Follows a pool in Kubernetes: watches its objects and its pods, and feeds them. Of one loop.
class KubeSource {
 public:
  /// Finds the API server as kube::find_access() does. All must outlive it; the loop is run or discarded after stop().
  [[nodiscard]] static Result<std::unique_ptr<KubeSource>> make(Loop& loop, KubePool pool, pool::Pool& endpoints,
                                                                RulesBoard& board, MetricsRegistry& metrics);
  ~KubeSource();
  KubeSource(const KubeSource&) = delete;
  KubeSource& operator=(const KubeSource&) = delete;

  [[nodiscard]] KubeFeed& feed() noexcept { return feed_; }
  void start();
  void stop();

 private:
  class Watch;
  KubeSource(Loop& loop, std::unique_ptr<kube::Client> client, KubePool pool, pool::Pool& endpoints, RulesBoard& board,
             MetricsRegistry& metrics);
  [[nodiscard]] std::shared_ptr<Watch> watch(const WatchedResource& resource);
  void watch_pods(const WatchedResource& resource);

  Loop& loop_;
  std::unique_ptr<kube::Client> client_;
  KubeFeed feed_;
  std::vector<std::shared_ptr<Watch>> objects_;
  std::shared_ptr<Watch> pods_;
};

}  // namespace llmd::discovery
