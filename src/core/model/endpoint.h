#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "model/traffic_share.h"

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

/// What beside queue and KV may be known of an endpoint, and its unit.
enum class Signal : std::uint8_t {
  kCpuUse,                // 0..1 of the cores that the engine may use
  kGpuUse,                // 0..1
  kMemoryUse,             // 0..1 of the memory (the GPU's, if it has one)
  kCacheHitRatio,         // 0..1, prompt tokens that the engine found cached
  kQueuedTokens,          // prompt tokens that wait at the engine
  kDecodeTokensLeft,      // tokens that its running sequences will probably still make
  kErrorRate,             // 0..1 of the requests of late
  kLatencyMs,             // round trip from here
  kBandwidthMbps,         // megabytes a second from here
  kPacketLoss,            // 0..1
  kCostPerMillionTokens,  // any currency
  kJoulesPerToken,
  kReadySeconds,  // for how long it has been ready
};
inline constexpr std::size_t kSignals = 13;

/// In snake case, with the unit: "latency_ms".
[[nodiscard]] std::string_view signal_name(Signal signal) noexcept;

/// A reading by the name that a configuration gives it (llm-d's custom metrics).
struct NamedReading {
  std::string name;  // as `endpoint-attribute-*` name it, with "/" and the producer where one is named
  Reading<float> reading;
};

/// Readings that not every endpoint has. Immutable: a new scrape makes a new object.
struct EndpointSignals {
  std::array<Reading<float>, kSignals> known{};
  std::vector<NamedReading> named{};  // sorted by name

  [[nodiscard]] const Reading<float>& operator[](Signal signal) const noexcept {
    return known[static_cast<std::size_t>(signal)];
  }
  [[nodiscard]] Reading<float>& operator[](Signal signal) noexcept { return known[static_cast<std::size_t>(signal)]; }
  /// Null if there is none of the name. O(log n).
  [[nodiscard]] const Reading<float>* find(std::string_view name) const noexcept;
};

/// The LoRA adapters of an engine, as vLLM tells them.
struct LoraState {
  std::vector<std::string> running{};
  std::vector<std::string> waiting{};
  std::uint32_t adapters_max = 0;
};

/// What is known of one endpoint at the snapshot's time.
struct EndpointState {
  std::shared_ptr<const Endpoint> endpoint;
  EndpointHealth health = EndpointHealth::kUnknown;
  TrafficShare traffic{};
  Reading<std::uint32_t> waiting_requests;  // queued at the engine
  Reading<std::uint32_t> running_requests;
  Reading<float> kv_usage;                 // 0..1
  Reading<std::uint32_t> kv_block_tokens;  // tokens a KV block
  Reading<std::uint64_t> kv_blocks;        // blocks in all
  Reading<std::shared_ptr<const LoraState>> lora{};
  std::shared_ptr<const EndpointSignals> signals{};  // null: none known
  // Sent from here and not ended, as of the endpoint's last change. Who decides has live counters beside the snapshot.
  std::uint32_t inflight_requests = 0;
  std::uint64_t inflight_tokens = 0;
};

class LinkTable;

/// The pool at one moment. Immutable; shared between loops as shared_ptr<const EndpointSnapshot>.
struct EndpointSnapshot {
  std::uint64_t version = 0;
  TimePoint taken_at{};
  std::vector<EndpointState> endpoints;
  std::shared_ptr<const LinkTable> links{};  // between endpoints; null: nothing measured
};

}  // namespace llmd
