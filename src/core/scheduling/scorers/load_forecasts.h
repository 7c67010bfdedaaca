#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "forecast/forecaster.h"
#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Samples of what is in flight at each endpoint, one a second, and what they foretell. Time is that of decisions:
/// seconds without any are missing, after more than kMissedMax of them all series begin anew. An endpoint is known by
/// the hash of its name; one that was not there for Forecaster::kGapMax samples is forgotten. Thread-safe: one thread
/// samples while the others go on with the forecasts before. At most 800 bytes an endpoint.
class LoadForecasts final : public PluginMemory {
 public:
  static constexpr std::size_t kEndpointsMax = 1'024;  // further ones have no forecast
  static constexpr std::uint32_t kMissedMax = 10;

  enum class Load : std::uint8_t { kRequests, kTokens };  // in flight
  struct Options {
    std::string_view model;  // one of forecast::forecaster_names(); static text
    Load load = Load::kRequests;
    std::uint32_t steps_ahead = 5;  // seconds
  };

  [[nodiscard]] static float load_of(const PluginInput& input, EndpointIndex endpoint, Load load) noexcept;

  /// Does nothing but once a second of input.now. Then it costs what the forecaster's step does: less than 0.4 us an
  /// endpoint, with `lstm` 0.13 ms and 4 us an endpoint; after quiet seconds once more for each. Allocates only for
  /// endpoints that it did not know. Other options than before begin all anew. Pre: input.fixed holds the hashes of
  /// names.
  void sample(const PluginInput& input, const Options& options);

  /// Each candidate's expected load: the forecast, moved by what changed since the sample. The fewer the better,
  /// min-max over the candidates; kNoData for those without a forecast. O(candidates), no allocation.
  void score(const PluginInput& input, Load load, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept;

  [[nodiscard]] std::size_t endpoints() const noexcept;
  [[nodiscard]] PluginState state() const override {
    return {.figures = {{"totalEndpoints", static_cast<double>(endpoints())},
                        {"maxEndpoints", static_cast<double>(kEndpointsMax)}}};
  }

 private:
  /// One endpoint, at the place of its series.
  struct Place {
    std::uint64_t id = 0;
    bool used = false;
    std::uint32_t absent = 0;  // samples without it
    float sampled = 0;
    float expected = 0;
  };

  void begin_anew(const Options& options);
  [[nodiscard]] std::optional<std::uint32_t> place_of(std::uint64_t id);
  void take_values(const PluginInput& input, Load load);
  void publish(std::uint32_t steps_ahead);

  std::atomic<Duration::rep> due_{std::numeric_limits<Duration::rep>::min()};  // the next sample
  std::mutex sampling_;  // held by who samples: guards what only it uses
  Options options_;
  std::unique_ptr<forecast::Forecaster> forecaster_;
  std::vector<std::optional<float>> values_;  // of the sample under way, by place
  std::vector<std::uint32_t> free_;
  mutable std::shared_mutex shown_;  // guards what follows; only who samples changes it
  std::unordered_map<std::uint64_t, std::uint32_t> by_id_;
  std::vector<Place> places_;
};

}  // namespace llmd::scheduling
