#include "scheduling/scorers/signal_or_label.h"

#include <charconv>
#include <cmath>
#include <string_view>

#include "scheduling/scorers/label_id.h"
#include "scheduling/scorers/min_max.h"
#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

FixedValue SignalOrLabelScorer::fixed_value(const Endpoint& endpoint) const {
  const std::string_view text = label_value(endpoint, label_);
  float number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool usable = !text.empty() && status == std::errc{} && end == text.data() + text.size() &&
                      std::isfinite(number) && number >= 0;
  return {.low = usable ? number : kNoData};
}

void SignalOrLabelScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                std::span<float> scores) const noexcept {
  score_min_max(candidates, scores, [&](EndpointIndex i) {
    std::optional<float> value = usable_signal(input, i, signal_);
    if (!value && !std::isnan(input.fixed[i].low)) value = input.fixed[i].low;
    return value;
  });
}

}  // namespace llmd::scheduling
