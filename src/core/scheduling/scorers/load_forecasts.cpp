#include "scheduling/scorers/load_forecasts.h"

#include <algorithm>

#include "forecast/make_forecaster.h"
#include "scheduling/scorers/min_max.h"

namespace llmd::scheduling {
namespace {

constexpr Duration kInterval = seconds{1};

}  // namespace

float LoadForecasts::load_of(const PluginInput& input, EndpointIndex endpoint, Load load) noexcept {
  return load == Load::kRequests ? static_cast<float>(input.inflight_requests(endpoint))
                                 : static_cast<float>(input.inflight_tokens(endpoint));
}

void LoadForecasts::begin_anew(const Options& options) {
  const std::unique_lock lock{shown_};
  options_ = options;
  forecaster_ = forecast::make_forecaster(options.model, kEndpointsMax);
  by_id_.clear();
  places_.clear();
  free_.clear();
}

void LoadForecasts::sample(const PluginInput& input, const Options& options) {
  const Duration now = input.now.time_since_epoch();
  if (now.count() < due_.load(std::memory_order_relaxed)) return;
  const std::unique_lock sampling{sampling_, std::try_to_lock};
  if (!sampling) return;  // another thread is at it
  const Duration due{due_.load(std::memory_order_relaxed)};
  if (now < due) return;
  if (forecaster_ == nullptr || options.model != options_.model || options.load != options_.load) begin_anew(options);
  const bool first = due.count() == std::numeric_limits<Duration::rep>::min();
  const std::int64_t missed = first ? 0 : (now - due) / kInterval;
  due_.store(((first ? now : due + missed * kInterval) + kInterval).count(), std::memory_order_relaxed);
  if (missed > kMissedMax) {
    for (std::uint32_t place = 0; place < places_.size(); ++place) forecaster_->forget(place);
  } else {
    for (std::int64_t i = 0; i < missed; ++i) forecaster_->step({});
  }
  take_values(input, options.load);
  forecaster_->step(values_);
  publish(options.steps_ahead);
}

std::optional<std::uint32_t> LoadForecasts::place_of(std::uint64_t id) {
  if (const auto found = by_id_.find(id); found != by_id_.end()) return found->second;
  const std::unique_lock lock{shown_};
  std::uint32_t place = 0;
  if (!free_.empty()) {
    place = free_.back();
    free_.pop_back();
  } else if (places_.size() < kEndpointsMax) {
    place = static_cast<std::uint32_t>(places_.size());
    places_.emplace_back();
  } else {
    return std::nullopt;
  }
  places_[place] = {.id = id, .used = true};
  by_id_.emplace(id, place);
  return place;
}

void LoadForecasts::take_values(const PluginInput& input, Load load) {
  std::ranges::fill(values_, std::nullopt);
  for (EndpointIndex i = 0; i < input.endpoints.size(); ++i) {
    const auto place = place_of(input.fixed[i].ids[0]);
    if (!place) continue;
    if (values_.size() <= *place) values_.resize(*place + std::size_t{1});
    values_[*place] = load_of(input, i, load);
  }
}

void LoadForecasts::publish(std::uint32_t steps_ahead) {
  const std::unique_lock lock{shown_};
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    if (!place.used) continue;
    if (values_[i]) {
      place.absent = 0;
      place.sampled = *values_[i];
      const auto forecast = forecaster_->forecast(i, steps_ahead);
      place.expected = forecast ? forecast->mean : place.sampled;  // none of a load beyond its range
    } else if (++place.absent > forecast::Forecaster::kGapMax) {
      by_id_.erase(place.id);
      forecaster_->forget(i);
      free_.push_back(i);
      place.used = false;
    }
  }
}

void LoadForecasts::score(const PluginInput& input, Load load, std::span<const EndpointIndex> candidates,
                          std::span<float> scores) const noexcept {
  const std::shared_lock lock{shown_};
  score_min_max(candidates, scores, [&](EndpointIndex i) -> std::optional<float> {
    const auto found = by_id_.find(input.fixed[i].ids[0]);
    if (found == by_id_.end()) return std::nullopt;
    const Place& place = places_[found->second];
    return std::max(0.0F, place.expected + load_of(input, i, load) - place.sampled);
  });
}

std::size_t LoadForecasts::endpoints() const noexcept {
  const std::shared_lock lock{shown_};
  return by_id_.size();
}

}  // namespace llmd::scheduling
