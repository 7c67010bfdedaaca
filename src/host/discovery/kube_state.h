#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/pod_endpoints.h"
#include "discovery/request_rules.h"

namespace llmd::discovery {

/// One object as the server has it. A view.
struct KubeObject {
  std::string_view name_space;
  std::string_view name;
  std::string_view json;
};

/// The resources that are watched.
enum class KubeResource : std::uint8_t {
  kPool,           // inference.networking.k8s.io/v1
  kOldPool,        // inference.networking.x-k8s.io/v1alpha2
  kPods,           // v1
  kObjectives,     // llm-d.ai/v1alpha2
  kOldObjectives,  // inference.networking.x-k8s.io/v1alpha2
  kRewrites,       // as objectives
  kOldRewrites,
};
inline constexpr std::size_t kKubeResources = 7;

struct KubeStateOptions {
  /// Objects are about it: objectives and rewrites that refer to another pool have no effect.
  PoolRef pool{};
  /// A pool that is no object: the flags say it, and only pods are watched.
  std::optional<InferencePool> fixed_pool{};
  AddressPolicy addresses{};
};

/// What is known of a pool from watching its objects. Events in, as JSON; endpoints and rules out. An object that
/// cannot be read counts as if it were not there. Of objectives and rewrites, the older group's count only where the
/// newer one's resource is not installed, as in llm-d; a pool of the older group counts before a v1 one of that name.
/// No I/O, no clock; not thread-safe.
class KubeState {
 public:
  explicit KubeState(KubeStateOptions options);

  void replaced(KubeResource resource, const std::vector<KubeObject>& objects);
  void upserted(KubeResource resource, const KubeObject& object);
  void deleted(KubeResource resource, std::string_view name_space, std::string_view name);
  /// The server has no such resource.
  void absent(KubeResource resource);

  /// Since the last call.
  [[nodiscard]] EndpointChanges take_changes() { return endpoints_.take_changes(); }
  /// Null: as at the last call.
  [[nodiscard]] std::shared_ptr<const RequestRules> take_rules();

  /// The pool is there, and its pods have been listed once.
  [[nodiscard]] bool synced() const noexcept { return endpoints_.pool().has_value() && listed(KubeResource::kPods); }
  [[nodiscard]] const PodEndpoints& endpoints() const noexcept { return endpoints_; }
  /// Objects that could not be read, ever, and what was wrong with the last.
  [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_; }
  [[nodiscard]] const std::string& last_fault() const noexcept { return last_fault_; }
  /// Objects of the older group are left out, because the newer one's resource is installed as well.
  [[nodiscard]] bool ignores_old_group() const noexcept;

 private:
  struct Seen {
    bool listed = false;  // or known to be absent
    bool there = false;
  };
  [[nodiscard]] const Seen& seen(KubeResource resource) const { return seen_[static_cast<std::size_t>(resource)]; }
  [[nodiscard]] Seen& seen(KubeResource resource) { return seen_[static_cast<std::size_t>(resource)]; }
  [[nodiscard]] bool listed(KubeResource resource) const noexcept { return seen(resource).listed; }
  void clear(KubeResource resource);
  /// False: it cannot be read.
  [[nodiscard]] bool put(KubeResource resource, std::string_view object);
  void put_pool(KubeResource resource, std::optional<InferencePool> pool);
  /// False.
  bool note_fault(const Error& error);

  const KubeStateOptions options_;
  PodEndpoints endpoints_;
  Seen seen_[kKubeResources];
  std::optional<InferencePool> pool_;
  std::optional<InferencePool> old_pool_;
  RequestRules rules_;      // of the newer group
  RequestRules old_rules_;  // of the older one
  bool rules_changed_ = false;
  std::uint64_t unreadable_ = 0;
  std::string last_fault_;
};

}  // namespace llmd::discovery
