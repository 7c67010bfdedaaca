#include "eppmetrics/inflight_metrics.h"

#include <array>
#include <utility>

#include "eppmetrics/bounded_label.h"
#include "eppmetrics/plugin_families.h"

namespace llmd::eppmetrics {

EndpointName split_endpoint_name(std::string_view name) noexcept {
  const std::size_t slash = name.find('/');
  // A URL is a name, too.
  if (slash == std::string_view::npos || name.find("://") != std::string_view::npos) return {.name = name};
  return {.name_space = name.substr(0, slash), .name = name.substr(slash + 1)};
}

InflightHold::InflightHold(std::shared_ptr<InflightSeries> series, const InflightLeg& leg)
    : series_{std::move(series)},
      prompt_tokens_{static_cast<double>(leg.prompt_tokens)},
      output_tokens_{static_cast<double>(leg.output_tokens)},
      until_first_token_{leg.until_first_token} {
  series_->holds.fetch_add(1, std::memory_order_relaxed);
  series_->requests.add(1);
  series_->tokens.add(prompt_tokens_ + output_tokens_);
}

void InflightHold::first_token() noexcept {
  if (series_ == nullptr) return;
  if (until_first_token_) return end();
  series_->tokens.add(-std::exchange(prompt_tokens_, 0));
}

void InflightHold::end() noexcept {
  if (series_ == nullptr) return;
  series_->requests.add(-1);
  series_->tokens.add(-(prompt_tokens_ + output_tokens_));
  series_->holds.fetch_sub(1, std::memory_order_release);
  series_.reset();
}

InflightMetrics::InflightMetrics(MetricsRegistry& registry, std::string producer)
    : registry_{registry}, producer_{std::move(producer)} {}

InflightHold InflightMetrics::hold(const InflightLeg& leg, std::string_view fairness_id, std::string_view priority) {
  const auto make = [&](const std::array<std::string_view, 3>& values) {
    const EndpointName endpoint = split_endpoint_name(values[0]);
    const std::array labels{endpoint.name, endpoint.name_space, std::string_view{producer_}, values[1], values[2]};
    return std::make_shared<InflightSeries>(gauge_of(registry_, kInflightRequests, labels),
                                            gauge_of(registry_, kInflightTokens, labels));
  };
  return {series_.find_or_make({leg.endpoint, fairness_id, priority}, make), leg};
}

void InflightMetrics::keep(const std::function<bool(const std::string&)>& is_there) {
  series_.erase_if([&](const auto& key, const std::shared_ptr<InflightSeries>& made) {
    if (made.use_count() > 1 || made->holds.load(std::memory_order_acquire) > 0) return false;
    if (key[0] == kOtherValue || is_there(key[0])) return false;
    const EndpointName endpoint = split_endpoint_name(key[0]);
    const std::array<std::string_view, 5> values{endpoint.name, endpoint.name_space, producer_, key[1], key[2]};
    registry_.remove(kInflightRequests.name, labels_of(kInflightRequests, values));
    registry_.remove(kInflightTokens.name, labels_of(kInflightTokens, values));
    return true;
  });
}

}  // namespace llmd::eppmetrics
