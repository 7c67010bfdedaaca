#include "apps/sidecar/allow_source.h"

#include <utility>

#include "net/address.h"

namespace llmd::sidecar {

Result<std::unique_ptr<PoolAllowSource>> PoolAllowSource::start(Loop& loop, const Options& options,
                                                                MetricsRegistry& metrics) {
  std::string named = options.inference_pool;
  if (named.find('/') == std::string::npos) named.insert(0, "default/");
  LLMD_TRY(discovery::KubePool pool, discovery::KubePool::parse(named));
  pool.group = options.pool_group;
  pool.has_rules = false;
  std::unique_ptr<PoolAllowSource> source{new PoolAllowSource{options.allowed_hosts}};
  LLMD_TRY(source->kube_,
           discovery::KubeSource::make(loop, std::move(pool), source->pods_, source->no_rules_, metrics));
  source->kube_->start();
  return source;
}

std::shared_ptr<const pd::AllowList> PoolAllowSource::current() const {
  auto view = pods_.view(SteadyClock::now());
  const std::scoped_lock lock{mutex_};
  if (list_ != nullptr && view == seen_) return list_;
  std::vector<std::string> hosts = others_;
  for (const EndpointState& state : view->snapshot.endpoints) {
    const auto address = net::Address::parse_url(state.endpoint->url);
    if (address && !address->is_unix()) hosts.push_back(address->host);
  }
  list_ = std::make_shared<pd::AllowList>(hosts);
  seen_ = std::move(view);
  return list_;
}

Result<std::unique_ptr<pd::AllowSource>> make_allow_source(Loop& loop, const Options& options,
                                                           MetricsRegistry& metrics) {
  if (options.protects() && !options.inference_pool.empty()) {
    LLMD_TRY(auto pods, PoolAllowSource::start(loop, options, metrics));
    return pods;
  }
  std::shared_ptr<const pd::AllowList> list;
  if (options.protects()) list = std::make_shared<pd::AllowList>(options.allowed_hosts);
  return std::make_unique<pd::FixedAllowSource>(std::move(list));
}

}  // namespace llmd::sidecar
