#include "scheduling/scorers/priority_scorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string_view>

#include "scheduling/header_name.h"
#include "scheduling/scorers/label_id.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "label",
                  .type = ParameterType::kText,
                  .text = "llm-d.ai/priority-min",
                  .help = "the endpoint's label with the lowest priority that it is for, a whole number"},
    ParameterSpec{.name = "belowScore",
                  .type = ParameterType::kNumber,
                  .number = 0,
                  .max = 1,
                  .help = "score of an endpoint that is reserved for higher priorities"},
    ParameterSpec{.name = "openScore",
                  .type = ParameterType::kNumber,
                  .number = 0.5,
                  .max = 1,
                  .help = "score of an endpoint that is for all, if the request may use a reserved one"},
};

bool is_reserved(const FixedValue& value) noexcept { return value.ids[0] != 0; }

bool may_use(const FixedValue& value, std::int32_t priority) noexcept {
  return priority >= static_cast<std::int64_t>(value.ids[1]);
}

}  // namespace

constinit const PluginSpec PriorityScorer::kSpec{
    .type = "priority-scorer",
    .kind = PluginKind::kScorer,
    .help = "keeps labelled endpoints for requests of high priority",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      Options options{.label = trimmed(parameters.text("label")),
                      .below_score = parameters.real("belowScore"),
                      .open_score = parameters.real("openScore")};
      if (options.label.empty()) {
        return fail(ErrorCode::kConfigInvalid, "priority-scorer: label is empty",
                    "leave it out for llm-d.ai/priority-min");
      }
      if (options.below_score > options.open_score) {
        return fail(ErrorCode::kConfigInvalid,
                    fmt::format("priority-scorer: belowScore is {}, above openScore, which is {}", options.below_score,
                                options.open_score),
                    "endpoints that a request may not use must not be preferred to those that are for all");
      }
      return std::make_unique<const PriorityScorer>(std::move(options));
    },
    .inputs = "a label of the endpoint, the request's priority",
    .no_data = "an endpoint without the label, or with one that is no whole number, is for all",
    .ours = true,
};

FixedValue PriorityScorer::fixed_value(const Endpoint& endpoint) const {
  const std::string_view text = label_value(endpoint, options_.label);
  std::int64_t least = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), least);
  if (text.empty() || status != std::errc{} || end != text.data() + text.size()) return {};
  return {.ids = {1, static_cast<std::uint64_t>(least)}};
}

void PriorityScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                           std::span<float> scores) const noexcept {
  const std::int32_t priority = input.request.priority;
  const bool privileged = std::ranges::any_of(
      candidates, [&](EndpointIndex i) { return is_reserved(input.fixed[i]) && may_use(input.fixed[i], priority); });
  const float open_score = privileged ? options_.open_score : 1.0F;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const FixedValue& value = input.fixed[candidates[c]];
    const float reserved_score = may_use(value, priority) ? 1.0F : options_.below_score;
    scores[c] = is_reserved(value) ? reserved_score : open_score;
  }
}

}  // namespace llmd::scheduling
