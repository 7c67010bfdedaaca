#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/latency_basis.h"
#include "scheduling/observed_latency.h"
#include "scheduling/plugin.h"
#include "scheduling/prediction/regression.h"

namespace llmd::scheduling {

/// Predicts TTFT and TPOT of a request on every endpoint, and learns from what came of it. Endpoints of one class
/// (model, role, hardware labels) share two regressions; how much slower or faster than its class one endpoint is, is a
/// factor of its own, which fades to 1 while nothing is heard of it. What goes in is known here, not scraped: what was
/// sent and has not ended; so no prediction is stale.
///
/// Thread-safe: predictions share a lock, learn() and sent() take it alone for about 2 us.
class LatencyPredictor {
 public:
  struct Options {
    double memory = 1'000;                // observations of a class; old hardware is forgotten so fast
    std::uint32_t observations_min = 32;  // of a class, before predictions count
    std::size_t endpoints_max = 4'096;    // further ones are not predicted
    std::size_t classes_max = 256;        // further ones are not predicted, while all have endpoints
    Duration factor_half_life = seconds{60};
    Duration rate_window = seconds{10};
  };
  /// How well it does.
  struct Stats {
    std::size_t classes = 0;
    std::size_t endpoints = 0;
    std::uint64_t observations = 0;
    float ttft_error = 0;  // mean of |seen - predicted| / predicted of late
    float tpot_error = 0;
  };
  /// Kept by each thread: which place each endpoint of the last snapshot has.
  struct Places {
    std::vector<std::shared_ptr<const Endpoint>> endpoints;
    std::vector<std::uint32_t> slots;
    std::uint64_t epoch = 0;
  };

  explicit LatencyPredictor(Options options) : options_{options} {}

  /// Fills one prediction an endpoint. O(endpoints), allocates only when the pool changes. `handoffs` (may be null):
  /// the same for decode legs.
  void predict(const PluginInput& input, Places& places, std::vector<LatencyPrediction>& predictions,
               std::vector<HandoffPrediction>* handoffs = nullptr);
  /// What the prediction of endpoint `i` rests on.
  [[nodiscard]] LatencyBasis basis(const PluginInput& input, const Places& places, EndpointIndex i) const;
  /// The same of its decode leg, when `prefill` computes the prompt.
  [[nodiscard]] LatencyBasis basis_apart(const PluginInput& input, const Places& places, EndpointIndex i,
                                         EndpointIndex prefill) const;
  /// The same without predict() before, and without what it would have said: for those who only learn() later.
  [[nodiscard]] LatencyBasis basis_of(const PluginInput& input, EndpointIndex i);
  /// A request on this basis went to the endpoint, which computes its prompt.
  void sent(std::string_view endpoint, const LatencyBasis& basis, TimePoint now);
  /// Of a request that went to the endpoint on this basis. If it was a decode leg, its prefill leg is told by itself,
  /// as a request that ends with its first token.
  /// Also says how slow it was for its class; of the endpoint's own factor that is free.
  LatencyRatios learn(const LatencyBasis& basis, const ObservedLatency& seen, TimePoint now);
  void forget(std::string_view endpoint);
  /// Forgets all others.
  void keep_only(const std::set<std::string>& endpoints);

  [[nodiscard]] Stats stats() const;
  /// The same, for people.
  [[nodiscard]] PluginState state() const;

 private:
  struct Class {
    Regression ttft;
    Regression tpot;
    Regression handoff;       // of a decode leg: from the prefill leg's end to the first token
    float output_tokens = 0;  // mean of late
    float tpot_ms = 0;        // the same
    std::string name;
    std::uint32_t endpoints = 0;
  };
  /// How an endpoint differs from its class, in logarithms.
  struct Factor {
    float log = 0;
    float weight = 0;  // observations behind it, at most kFactorWeightMax
    TimePoint at{};
  };
  struct Known {
    std::uint32_t of_class = kNoClass;
    Factor ttft;
    Factor tpot;
    Factor handoff;
    float rate = 0;      // thousand uncached tokens a second
    float arrivals = 0;  // requests a second
    float advantage_ms = kAdvantageMaxMs;
    TimePoint rate_at{};
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };
  class Deviations;
  using Slots = std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>>;
  static constexpr std::uint32_t kNoSlot = static_cast<std::uint32_t>(-1);
  static constexpr std::uint32_t kNoClass = static_cast<std::uint32_t>(-1);
  static constexpr float kAdvantageMaxMs = 10'000;

  void resolve(std::span<const EndpointState> endpoints, Places& places);
  [[nodiscard]] std::uint32_t slot_for(const Endpoint& endpoint);
  [[nodiscard]] std::uint32_t class_for(const Endpoint& endpoint);
  void join_class(Known& known, std::uint32_t of_class);
  [[nodiscard]] LatencyBasis observe(const PluginInput& input, std::uint32_t slot, EndpointIndex i) const noexcept;
  /// Thousands of tokens that wait to be computed: of the prompt under way only what is thought to be left.
  [[nodiscard]] float queued(const LiveLoad& live, const Known& known, float decoding, TimePoint now) const noexcept;
  [[nodiscard]] HandoffPrediction handoff(const Known& known, LatencyBasis basis, TimePoint now) const noexcept;
  /// How much later than from `i` the first token would come from the next best of its class that serves, at most
  /// kAdvantageMaxMs.
  [[nodiscard]] float advantage_of(const PluginInput& input, const Places& places, EndpointIndex i) const noexcept;
  [[nodiscard]] float weight_now(const Factor& factor, TimePoint now) const noexcept;
  [[nodiscard]] float factor(const Factor& factor, TimePoint now) const noexcept;
  void correct(Factor& factor, double ratio, TimePoint now) const noexcept;
  /// The share of the rates that has not faded yet.
  [[nodiscard]] float rate_left(const Known& known, TimePoint now) const noexcept;

  const Options options_;
  mutable std::shared_mutex mutex_;
  Slots slots_;
  Slots class_names_;
  std::vector<Known> known_;
  std::vector<std::uint32_t> free_;
  std::vector<Class> classes_;
  std::uint64_t epoch_ = 1;  // changes when a slot gets another owner
  std::uint64_t observations_ = 0;
  float ttft_error_ = 0;
  float tpot_error_ = 0;
};

}  // namespace llmd::scheduling
