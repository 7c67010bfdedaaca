#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/kube_state.h"

namespace llmd::discovery {

/// The pool that is followed in Kubernetes, as flags and environment of llm-d's endpoint picker say it
/// (llm-d-router: cmd/epp/runner/runner.go).
struct KubePool {
  std::string name;
  std::string name_space = "default";
  std::string group{kPoolGroup};
  /// A label selector in Kubernetes' form, instead of a pool that is an object; `ports` are those of its pods.
  std::string selector{};
  std::vector<std::uint16_t> ports{};
  AddressPolicy addresses{};
  bool has_rules = true;  // objectives and rewrites are watched, too

  /// "NAMESPACE/POOL". Error kAddressInvalid.
  [[nodiscard]] static Result<KubePool> parse(std::string_view text);
  [[nodiscard]] bool is_object() const noexcept { return selector.empty(); }
  [[nodiscard]] KubeStateOptions state_options() const;
};

/// The deployment that a pod is of, by the pod's name ("epp-7d4b9c-x2x5p" is of "epp"): llm-d's name of a pool that a
/// selector makes. Nothing: it is no pod of a deployment.
[[nodiscard]] std::optional<std::string> deployment_of(std::string_view pod);

/// One list to watch.
struct WatchedResource {
  KubeResource resource{};
  std::string group{};  // empty: the core group
  std::string version{};
  std::string plural{};
  std::string name_space{};
  std::string label_selector{};
  std::string field_selector{};
};

/// All but pods: of a selector nothing; else the pool, and what is about it. The older group's pools are watched only
/// if the flags name that group.
[[nodiscard]] std::vector<WatchedResource> watched_objects(const KubePool& pool);

/// The pods: those that the server finds by the labels. `found`: the pool, if it is an object.
[[nodiscard]] WatchedResource watched_pods(const KubePool& pool, const InferencePool* found);

}  // namespace llmd::discovery
