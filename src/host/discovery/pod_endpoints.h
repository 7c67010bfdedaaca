#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/address_policy.h"
#include "discovery/kube_objects.h"
#include "model/endpoint.h"

namespace llmd::discovery {

/// What differs between two moments of a set of endpoints.
struct EndpointChanges {
  std::vector<Endpoint> put;         // new, or another than before
  std::vector<std::string> removed;  // names

  [[nodiscard]] bool empty() const noexcept { return put.empty() && removed.empty(); }
};

/// A pool and the pods that there are, into endpoints as llm-d has them: "namespace/pod-rank-i" for the i-th port of
/// the pool, with the pod's labels. A pod has endpoints if it is ready, has the pool's labels and an address that the
/// policy lets pass; its annotation may take ports away. Changes cost what has changed, not what there is: events only
/// note names, and take_changes() looks at these. No I/O, no clock; not thread-safe.
class PodEndpoints {
 public:
  static constexpr std::size_t kPodsMax = 16'384;       // further ones are not looked at
  static constexpr std::size_t kEndpointsMax = 16'384;  // further ones wait until others go

  explicit PodEndpoints(AddressPolicy policy) noexcept : policy_{policy} {}

  /// Nothing: there is no such pool, and so no endpoint.
  void set_pool(std::optional<InferencePool> pool);
  [[nodiscard]] const std::optional<InferencePool>& pool() const noexcept { return pool_; }

  void put(Pod pod);
  void remove(std::string_view name_space, std::string_view name);
  /// These are all pods that there are.
  void replace(std::vector<Pod> pods);

  /// Since the last call.
  [[nodiscard]] EndpointChanges take_changes();

  [[nodiscard]] std::size_t pods() const noexcept { return pods_.size(); }
  [[nodiscard]] std::size_t endpoints() const noexcept { return endpoints_; }
  /// Pods that are ready and belong to the pool, by the reason why they have no endpoint.
  [[nodiscard]] std::size_t refused() const noexcept { return refused_.size(); }
  [[nodiscard]] std::size_t left_out() const noexcept { return left_out_.size() + pods_left_out_; }
  /// The reason for the pod of that name ("namespace/name") that was refused last; empty: none.
  [[nodiscard]] const std::string& last_refusal() const noexcept { return last_refusal_; }

 private:
  struct Known {
    std::optional<Pod> pod;           // nothing: it is gone
    std::vector<Endpoint> published;  // as the last changes have it
  };
  [[nodiscard]] std::vector<Endpoint> endpoints_of(const std::string& key, const Pod& pod);
  void look_at(const std::string& key, EndpointChanges& changes);
  void note_all();

  AddressPolicy policy_;
  std::optional<InferencePool> pool_;
  std::map<std::string, Known, std::less<>> pods_;  // by "namespace/name"
  std::set<std::string, std::less<>> noted_;        // to be looked at
  std::set<std::string, std::less<>> refused_;
  std::set<std::string, std::less<>> left_out_;
  std::string last_refusal_;
  std::size_t endpoints_ = 0;
  std::size_t pods_left_out_ = 0;  // of the last list
};

/// The ports of `ports` that the annotation leaves: a list with commas; what is no number there counts for nothing.
[[nodiscard]] std::vector<bool> active_ports(const std::vector<std::uint16_t>& ports,
                                             const std::optional<std::string>& annotation);

}  // namespace llmd::discovery
