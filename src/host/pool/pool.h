#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "health/circuit_breaker.h"
#include "health/flat_readings.h"
#include "health/outlier_evidence.h"
#include "health/outlier_options.h"
#include "model/endpoint.h"
#include "pool/engine_metrics.h"
#include "pool/node_metrics.h"

namespace llmd::pool {

/// What is in flight at one endpoint: live, beside the snapshots. Thread-safe.
struct InFlightCounters {
  std::atomic<std::uint32_t> requests{0};
  std::atomic<std::uint64_t> tokens{0};
  std::atomic<std::uint32_t> prefilling{0};  // as scheduling::LiveLoad has them
  std::atomic<std::uint64_t> prefill_tokens{0};
  std::atomic<std::uint64_t> context_tokens{0};
  std::atomic<std::uint64_t> prefill_head{0};
  std::atomic<TimePoint> prefill_since{TimePoint{}};
};

/// What a request weighs, in tokens.
struct LoadTokens {
  std::uint64_t prompt = 0;   // until its first token
  std::uint64_t output = 0;   // until its end
  std::uint64_t prefill = 0;  // of the prompt, to be computed here, until its first token; no load of its own. 0: none
  std::uint64_t context = 0;  // the whole prompt, until its end; no load of its own
};

/// One request at one endpoint, counted from the decision until this object goes. Movable, empty after a move.
class InFlight {
 public:
  InFlight() = default;
  InFlight(std::shared_ptr<InFlightCounters> counters, LoadTokens tokens, TimePoint now) noexcept;
  InFlight(InFlight&& other) noexcept;
  InFlight& operator=(InFlight&& other) noexcept;
  ~InFlight() { end(); }
  /// The prompt is computed: its tokens no longer weigh on the endpoint, which goes on with the next one. The request
  /// and its output still count.
  void prompt_computed(TimePoint now) noexcept;
  /// The prompt is not computed there. The rest still counts.
  void release_prompt() noexcept;
  void end() noexcept;

 private:
  void begin_prompt(std::uint64_t tokens, TimePoint now) noexcept;

  std::shared_ptr<InFlightCounters> counters_;
  LoadTokens tokens_;
  bool prefilling_ = false;
};

/// The pool as published: the snapshot, and the live counters in its order. Immutable but for the counters' values.
struct PoolView {
  EndpointSnapshot snapshot;
  std::vector<std::shared_ptr<InFlightCounters>> in_flight;
};

/// What one look at an endpoint found. A member without value was not looked at, or could not be read.
struct Probe {
  enum class Readiness : std::uint8_t {
    kNotAsked,
    kReady,
    kNotReady,  // it answers, and says that it cannot serve (loading, draining)
    kSilent,    // no answer in time: it may be busy, or gone
    kRefused,   // nobody listens there
  };
  Readiness readiness = Readiness::kNotAsked;
  std::optional<EngineReadings> readings;
  std::string_view engine{};  // whose readings they are, by the name of its label; empty: unknown
  std::optional<std::vector<ServedModel>> models;
  std::optional<Duration> round_trip{};  // of the question for readiness
  std::string error;                     // why it is not ready or a part could not be read; for people
};

/// All that is known of one endpoint, for people (admin, /v1/models, metrics).
struct EndpointReport {
  EndpointState state;
  EngineReadings readings;
  std::string engine{};  // whose readings they are; empty: unknown
  NodeReadings node{};   // of its machine, from exporters
  std::uint64_t probes = 0;
  std::uint64_t probe_failures = 0;
  std::string error;          // the last probe's, empty if it was fine
  std::string_view reason{};  // of the state's health; static text
};

/// What has changed of how endpoints stand out from their peers, since the last time that somebody asked.
struct Anomalies {
  struct Share {
    std::string endpoint;
    TrafficShare before{};
    TrafficShare now{};
  };
  struct Flat {
    std::string endpoint;
    health::LoadReading reading{};
    bool flat = false;  // it moves again
  };
  std::vector<Share> shares;
  std::vector<Flat> flats;
};

struct PoolOptions {
  health::OutlierOptions outliers{};
  /// At most one snapshot in it, but for endpoints that get no more requests, which the next view() shows. Higher:
  /// cheaper, and decisions see older metrics.
  milliseconds publish_interval{10};
  /// A snapshot that nothing changed is renewed after it, for what time alone changes.
  milliseconds refresh_interval{100};
};

/// Who the endpoints are and how they are: the only owner of endpoint state. Events come in from probes and requests;
/// an immutable view goes out. No I/O and no clock: see EndpointProber for what feeds it. Thread-safe; view() costs a
/// lock and a reference count, and at most once a publish_interval it brings an old view up to date: a few ns an
/// endpoint and about 0.2 us for each that has changed; all count as changed where the set has.
class Pool {
 public:
  explicit Pool(PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Makes the endpoints these. One whose name stays keeps its state, unless its URL changed.
  void set_endpoints(std::vector<Endpoint> endpoints, TimePoint now);
  /// Adds or replaces one.
  void put(Endpoint endpoint, TimePoint now);
  void remove(std::string_view name);
  /// Several at once, as one change: removes first. Costs what changes, where set_endpoints() costs what there is.
  void change(const std::vector<std::string>& removed, std::vector<Endpoint> put, TimePoint now);
  /// It is a new process: what was known of the old one no longer counts, but its models. Not ready until a probe says
  /// so.
  void restart(std::string_view name);
  /// Its role label says this from now on, until it is put with another role than it had.
  void set_role(std::string_view name, std::string_view role);
  /// No new requests for it, until it is put again.
  void drain(std::string_view name);

  /// Unknown names are ignored: the endpoint may have left meanwhile.
  void on_probe(std::string_view name, Probe probe, TimePoint now);
  /// What an exporter says of the endpoint's machine. Of memory that of the GPUs counts where it is known.
  void on_node(std::string_view name, const NodeReadings& readings, TimePoint now);
  /// A request ended well, or failed by the endpoint's fault. Neither: refusals for want of room, errors of the
  /// client's.
  void on_request_success(std::string_view name, TimePoint now);
  /// The first piece of an answer came: of an endpoint on trial the others need not wait for the end.
  void on_first_byte(std::string_view name, TimePoint now);
  void on_request_failure(std::string_view name, health::FailureKind kind, TimePoint now);

  /// How fast a request that ended well was, by what was to be expected.
  void on_latency(std::string_view name, const health::LatencySample& sample, TimePoint now);

  [[nodiscard]] std::shared_ptr<const PoolView> view(TimePoint now);
  /// Counts a request against the endpoint. Empty for an unknown name.
  [[nodiscard]] InFlight begin_request(std::string_view name, LoadTokens tokens, TimePoint now);

  /// The engine by whose metrics the endpoint was recognised, as EndpointReport has it; empty while unknown.
  [[nodiscard]] std::string engine_of(std::string_view name) const;

  [[nodiscard]] std::vector<EndpointReport> report(TimePoint now);
  /// At most 1,024 changes of each kind are kept for who asks.
  [[nodiscard]] Anomalies take_anomalies();
  /// The endpoints now, for whoever probes them. Calls back after every change of the set (any thread, no lock held).
  [[nodiscard]] std::vector<std::shared_ptr<const Endpoint>> endpoints() const;
  void on_change(std::function<void()> callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd::pool
