#include "discovery/pod_endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace llmd::discovery {
namespace {

std::string key_of(std::string_view name_space, std::string_view name) {
  return fmt::format("{}/{}", name_space, name);
}

bool has_labels(const Pod& pod, const std::map<std::string, std::string>& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& label) {
    const auto found = pod.labels.find(label.first);
    return found != pod.labels.end() && found->second == label.second;
  });
}

bool same(const Endpoint& a, const Endpoint& b) { return a.name == b.name && a.url == b.url && a.labels == b.labels; }

}  // namespace

std::vector<bool> active_ports(const std::vector<std::uint16_t>& ports, const std::optional<std::string>& annotation) {
  std::vector<bool> active(ports.size(), !annotation);
  if (!annotation) return active;
  std::string_view rest = *annotation;
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    item.remove_prefix(std::min(item.size(), item.find_first_not_of(" \t\r\n")));
    std::uint16_t port = 0;  // what follows the digits does not matter, as in llm-d
    if (std::from_chars(item.data(), item.data() + item.size(), port).ec != std::errc{}) continue;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (ports[i] == port) active[i] = true;
    }
  }
  return active;
}

void PodEndpoints::set_pool(std::optional<InferencePool> pool) {
  if (pool && pool->leaving) pool.reset();
  if (pool == pool_) return;
  pool_ = std::move(pool);
  note_all();
}

void PodEndpoints::put(Pod pod) {
  std::string key = key_of(pod.name_space, pod.name);
  if (!pods_.contains(key) && pods_.size() >= kPodsMax) {
    ++pods_left_out_;
    return;
  }
  pods_[key].pod = std::move(pod);
  noted_.insert(std::move(key));
}

void PodEndpoints::remove(std::string_view name_space, std::string_view name) {
  std::string key = key_of(name_space, name);
  const auto found = pods_.find(key);
  if (found == pods_.end()) return;
  found->second.pod.reset();
  noted_.insert(std::move(key));
}

void PodEndpoints::replace(std::vector<Pod> pods) {
  pods_left_out_ = 0;
  for (auto& [key, known] : pods_) known.pod.reset();
  note_all();
  for (Pod& pod : pods) put(std::move(pod));
}

void PodEndpoints::note_all() {
  for (const auto& [key, known] : pods_) noted_.insert(key);
}

std::vector<Endpoint> PodEndpoints::endpoints_of(const std::string& key, const Pod& pod) {
  refused_.erase(key);
  if (!pool_ || !pod.ready || !has_labels(pod, pool_->selector)) return {};
  if (const auto checked = policy_.check(pod.ip); !checked) {
    last_refusal_ = fmt::format("pod {}: {}", key, checked.error().to_string());
    refused_.insert(key);
    return {};
  }
  const std::vector<bool> active = active_ports(pool_->ports, pod.active_ports);
  std::vector<Endpoint> endpoints;
  for (std::size_t rank = 0; rank < active.size(); ++rank) {
    if (!active[rank]) continue;
    endpoints.push_back({.name = fmt::format("{}-rank-{}", key, rank),
                         .url = "http://" + authority(pod.ip, pool_->ports[rank]),
                         .labels = pod.labels});
  }
  return endpoints;
}

void PodEndpoints::look_at(const std::string& key, EndpointChanges& changes) {
  Known& known = pods_.find(key)->second;
  std::vector<Endpoint> now;
  if (known.pod) now = endpoints_of(key, *known.pod);
  left_out_.erase(key);
  if (endpoints_ - known.published.size() + now.size() > kEndpointsMax) {
    left_out_.insert(key);
    now.clear();
  }
  for (const Endpoint& endpoint : now) {
    const auto before = std::ranges::find(known.published, endpoint.name, &Endpoint::name);
    if (before == known.published.end() || !same(*before, endpoint)) changes.put.push_back(endpoint);
  }
  for (const Endpoint& before : known.published) {
    if (std::ranges::find(now, before.name, &Endpoint::name) == now.end()) changes.removed.push_back(before.name);
  }
  endpoints_ += now.size() - known.published.size();
  known.published = std::move(now);
  if (known.pod) return;
  refused_.erase(key);
  left_out_.erase(key);
  pods_.erase(key);
}

EndpointChanges PodEndpoints::take_changes() {
  EndpointChanges changes;
  std::set<std::string, std::less<>> noted = std::exchange(noted_, {});
  for (const std::string& key : noted) look_at(key, changes);
  if (left_out_.empty() || endpoints_ >= kEndpointsMax) return changes;
  noted = left_out_;
  for (const std::string& key : noted) look_at(key, changes);
  return changes;
}

}  // namespace llmd::discovery
