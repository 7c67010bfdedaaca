#include "discovery/kube_pool.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmd::discovery {

Result<KubePool> KubePool::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto is_name = [](std::string_view name) {
    constexpr std::size_t kNameBytesMax = 253;
    return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
  };
  if (slash == std::string_view::npos || !is_name(text.substr(0, slash)) || !is_name(text.substr(slash + 1))) {
    return fail(ErrorCode::kAddressInvalid, fmt::format("\"{}\" names no InferencePool", text.substr(0, 512)),
                "write NAMESPACE/POOL");
  }
  KubePool pool;
  pool.name_space = text.substr(0, slash);
  pool.name = text.substr(slash + 1);
  return pool;
}

KubeStateOptions KubePool::state_options() const {
  KubeStateOptions made{.pool = {.group = group, .name = name}, .fixed_pool = {}, .addresses = addresses};
  if (!is_object()) made.fixed_pool = InferencePool{.selector = {}, .ports = ports};
  return made;
}

std::optional<std::string> deployment_of(std::string_view pod) {
  for (int part = 0; part < 2; ++part) {
    const std::size_t dash = pod.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || dash + 1 == pod.size()) return std::nullopt;
    const bool plain = std::ranges::all_of(pod.substr(dash + 1),
                                           [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
    if (!plain) return std::nullopt;
    pod = pod.substr(0, dash);
  }
  return std::string{pod};
}

std::vector<WatchedResource> watched_objects(const KubePool& pool) {
  using enum KubeResource;
  std::vector<WatchedResource> watched;
  if (!pool.is_object()) return watched;
  const auto add = [&](KubeResource resource, std::string_view group, std::string_view version, const char* plural) {
    const bool is_pool = resource == kPool || resource == kOldPool;
    watched.push_back({.resource = resource,
                       .group = std::string{group},
                       .version = std::string{version},
                       .plural = plural,
                       .name_space = pool.name_space,
                       .field_selector = is_pool ? fmt::format("metadata.name={}", pool.name) : ""});
  };
  constexpr std::string_view kAlpha = "v1alpha2";
  add(kPool, kPoolGroup, "v1", "inferencepools");
  if (pool.group == kOldGroup) add(kOldPool, kOldGroup, kAlpha, "inferencepools");
  if (!pool.has_rules) return watched;
  add(kObjectives, kLlmDGroup, kAlpha, "inferenceobjectives");
  add(kOldObjectives, kOldGroup, kAlpha, "inferenceobjectives");
  add(kRewrites, kLlmDGroup, kAlpha, "inferencemodelrewrites");
  add(kOldRewrites, kOldGroup, kAlpha, "inferencemodelrewrites");
  return watched;
}

WatchedResource watched_pods(const KubePool& pool, const InferencePool* found) {
  std::string labels = pool.selector;
  if (pool.is_object() && found != nullptr) {
    for (const auto& [name, value] : found->selector)
      labels.append(labels.empty() ? "" : ",").append(fmt::format("{}={}", name, value));
  }
  return {.resource = KubeResource::kPods,
          .version = "v1",
          .plural = "pods",
          .name_space = pool.name_space,
          .label_selector = std::move(labels)};
}

}  // namespace llmd::discovery
