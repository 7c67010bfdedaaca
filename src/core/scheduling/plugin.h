#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/rng.h"
#include "model/endpoint.h"
#include "model/request_facts.h"
#include "scheduling/endpoint_cache.h"
#include "scheduling/scheduler.h"

namespace llmd::scheduling {

/// What a plugin reads of an endpoint beside its fixed part. A plugin may read only what it consumes.
enum class Metric : std::uint8_t {
  kWaiting = 1,
  kRunning = 2,
  kKvUsage = 4,
  kPrefixMatch = 8,
  kInflight = 16,
};

/// A set of Metric.
class MetricSet {
 public:
  constexpr MetricSet() noexcept = default;
  constexpr MetricSet(Metric metric) noexcept
      : bits_{static_cast<std::uint8_t>(metric)} {}  // NOLINT(google-explicit-constructor): a set of one
  [[nodiscard]] constexpr bool has(Metric metric) const noexcept {
    return (bits_ & static_cast<std::uint8_t>(metric)) != 0;
  }
  friend constexpr MetricSet operator|(MetricSet a, MetricSet b) noexcept {
    MetricSet both;
    both.bits_ = static_cast<std::uint8_t>(a.bits_ | b.bits_);
    return both;
  }

 private:
  std::uint8_t bits_ = 0;
};

/// An endpoint's place in the snapshot.
using EndpointIndex = std::uint32_t;

/// The score of a candidate whose metric is missing or too old. The scheduler puts the mean of the other candidates in
/// its place, 0.5 if there is none, so that no data neither favours nor starves an endpoint, and names it in the
/// explanation.
inline constexpr float kNoData = std::numeric_limits<float>::quiet_NaN();

/// What plugins see. All spans have one element an endpoint of the snapshot; matched_blocks is empty if nothing
/// consumes it, serves if the request names no model.
struct PluginInput {
  const RequestFacts& request;
  std::span<const EndpointState> endpoints;
  std::span<const EndpointFacts> facts;
  std::span<const std::uint32_t> matched_blocks;
  std::span<const LiveLoad> live;
  std::span<const std::uint8_t> serves;  // EndpointCache::serving() of the request's model
  TimePoint now;
  Duration metric_age_max;

  [[nodiscard]] std::uint32_t inflight_requests(EndpointIndex i) const noexcept {
    return live.empty() ? endpoints[i].inflight_requests : live[i].requests;
  }
  /// The reading's value, if there is one that is not too old.
  template <class T>
  [[nodiscard]] std::optional<T> fresh(const Reading<T>& reading) const noexcept {
    return now - reading.at > metric_age_max ? std::nullopt : reading.value;
  }
};

/// Drops endpoints that must not get the request. Immutable, so shared by all threads.
class Filter {
 public:
  virtual ~Filter() = default;
  /// Moves the kept candidates to the front, in their order, and returns how many. O(candidates), no allocation.
  [[nodiscard]] virtual std::size_t filter(const PluginInput& input,
                                           std::span<EndpointIndex> candidates) const noexcept = 0;
  /// Why filter() drops this endpoint: one clause, what was seen against what is wanted.
  [[nodiscard]] virtual std::string reason(const PluginInput& input, EndpointIndex endpoint) const = 0;
};

/// Says how well each candidate suits the request. Immutable, so shared by all threads.
class Scorer {
 public:
  virtual ~Scorer() = default;
  [[nodiscard]] virtual MetricSet consumes() const noexcept = 0;
  /// Pre: scores.size() == candidates.size(). Post: every score is kNoData or a number; the scheduler clamps it to [0,
  /// 1]. O(candidates), no allocation.
  virtual void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                     std::span<float> scores) const noexcept = 0;
};

/// A candidate's place in the order of preference: higher rank first, among equals higher tie first.
struct PickKey {
  double rank = 0;
  std::uint64_t tie = 0;
  std::uint32_t position = 0;  // in the candidates; set by the scheduler
};

/// Orders the scored candidates. Immutable, so shared by all threads.
class Picker {
 public:
  virtual ~Picker() = default;
  /// Pre: keys.size() == totals.size(). Sets rank and tie of each. O(candidates), no allocation.
  virtual void rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept = 0;
  /// How many endpoints the configuration wants named.
  [[nodiscard]] virtual std::uint32_t endpoints_max() const noexcept = 0;
};

enum class PrefillRoute : std::uint8_t {
  kLocal,   // one leg, to the decode endpoint
  kRemote,  // the prefill profile runs; its endpoint gets the first leg
};

/// What a decider may look at: the prompt, and what of it the chosen decode endpoint probably holds.
struct PdFacts {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
};

struct PdDecision {
  PrefillRoute route = PrefillRoute::kLocal;
  std::string_view rule;  // static text
  std::uint32_t observed = 0;
  std::uint32_t limit = 0;
};

/// Whether a request is worth a separate prefill leg. Immutable, so shared by all threads.
class PdDecider {
 public:
  virtual ~PdDecider() = default;
  [[nodiscard]] virtual PdDecision decide(const PdFacts& facts) const noexcept = 0;
};

}  // namespace llmd::scheduling
