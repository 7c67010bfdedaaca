#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"

namespace llmd {

/// What an endpoint does, as llm-d's label `llm-d.ai/role` says it. An endpoint without the label serves as kUnified
/// does.
enum class EndpointRole : std::uint8_t { kUnified, kPrefill, kDecode };

[[nodiscard]] std::string_view role_name(EndpointRole role) noexcept;

/// The label that carries the role, and the values of it that may prefill or decode (llm-d-router: scheduling
/// spec 3.2).
inline constexpr std::string_view kRoleLabel = "llm-d.ai/role";

/// Header of a worker's /ready answer: how many percent of its model are loaded, from what llama.cpp tells.
inline constexpr std::string_view kLoadedHeader = "x-llmd-loaded";

/// A model that an endpoint says it serves: a model of its own, an adapter, or another name of either.
struct ServedModel {
  std::string id;
  std::int64_t created = 0;
  // What a worker of ours tells beside the name; nothing for other engines, and while unknown.
  std::uint32_t context_tokens = 0;              // longest prompt and output; other engines may tell it, too
  std::optional<Digest256> block_fingerprint{};  // BlockScope::model_fingerprint of the blocks that it keeps
  friend bool operator==(const ServedModel&, const ServedModel&) = default;
};

/// Where and what an endpoint is: its fixed part. Shared by all snapshots, immutable.
struct Endpoint {
  std::string name;                   // stable and unique: "namespace/name" from discovery, or the URL
  std::string url;                    // http://host:port, or unix:/path
  std::vector<ServedModel> models{};  // as it lists them, empty while unknown; the first is what "default" means
  std::map<std::string, std::string> labels;

  /// The model of this name; null if it does not list it.
  [[nodiscard]] const ServedModel* find_model(std::string_view id) const noexcept;
};

/// Whether requests may be sent to an endpoint now. Set by `health`; read by the scheduler as a filter.
enum class EndpointHealth : std::uint8_t {
  kUnknown,  // not heard of yet: may serve, is not favoured
  kReady,
  kProbing,   // readmitted on trial: at most one request at a time
  kDraining,  // finishes what it has, takes nothing new
  kDown,
};

[[nodiscard]] std::string_view health_name(EndpointHealth health) noexcept;

/// A metric as it was read, with when. No value: the endpoint never reported it.
template <class T>
struct Reading {
  std::optional<T> value;
  TimePoint at{};
};

/// What is known of one endpoint at the snapshot's time.
struct EndpointState {
  std::shared_ptr<const Endpoint> endpoint;
  EndpointHealth health = EndpointHealth::kUnknown;
  Reading<std::uint32_t> waiting_requests;  // queued at the engine
  Reading<std::uint32_t> running_requests;
  Reading<float> kv_usage;                 // 0..1
  Reading<std::uint32_t> kv_block_tokens;  // tokens a KV block
  Reading<std::uint64_t> kv_blocks;        // blocks in all
  // Live, raised by decisions before dispatch, so that loops do not herd between two snapshots.
  std::uint32_t inflight_requests = 0;
  std::uint64_t inflight_tokens = 0;
};

/// The pool at one moment. Immutable; shared between loops as shared_ptr<const EndpointSnapshot>.
struct EndpointSnapshot {
  std::uint64_t version = 0;
  TimePoint taken_at{};
  std::vector<EndpointState> endpoints;
};

}  // namespace llmd
