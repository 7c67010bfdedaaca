#include "scheduling/scorers/context_length_aware.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "scheduling/filters/keep_if.h"
#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "label",
                  .type = ParameterType::kText,
                  .text = "llm-d.ai/context-length-range",
                  .help = "the label that says for which prompts an endpoint is meant: min-max, in tokens"},
    ParameterSpec{.name = "enableFiltering",
                  .type = ParameterType::kBool,
                  .help = "drop endpoints whose range does not hold the prompt, instead of scoring them low only"},
};

std::optional<std::uint64_t> parse_tokens(std::string_view text) noexcept {
  text = without_blanks(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  std::uint64_t tokens = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, tokens);
  if (status != std::errc{} || rest != end) return std::nullopt;
  return tokens;
}

}  // namespace

constinit const PluginSpec ContextLengthAwareScorer::kSpec{
    .type = "context-length-aware",
    .kind = PluginKind::kScorer,
    .help = "endpoints meant for prompts of this length; filters too, with enableFiltering",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const std::string label = parameters.text("label");
      if (label.empty()) {
        return fail(ErrorCode::kConfigInvalid, "context-length-aware: label is empty",
                    "name the label that has the range, or leave it out");
      }
      PluginObjects objects{std::make_unique<const ContextLengthAwareScorer>(label)};
      if (parameters.flag("enableFiltering")) objects.add(std::make_unique<const ContextLengthAwareFilter>(label));
      return objects;
    },
    .inputs = "a label; the prompt's length",
    .no_data = "an endpoint without the label scores 0.5, one with a label that is no range 0",
};

std::optional<ContextRange> ContextRange::parse(std::string_view text) noexcept {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto min = parse_tokens(text.substr(0, dash));
  const auto max = parse_tokens(text.substr(dash + 1));
  if (!min || !max || *min > *max) return std::nullopt;
  return ContextRange{.min = *min, .max = *max};
}

float ContextRange::score(std::uint64_t tokens) const noexcept {
  constexpr float kOutsideMost = 0.3F;
  constexpr float kWidthTokens = 10'000;    // a range so wide has half the width's part
  constexpr float kDistanceTokens = 1'000;  // so far outside, half of the most is left
  constexpr float kWidthShare = 0.7F;
  if (!holds(tokens)) {
    const std::uint64_t distance = tokens > max ? tokens - max : min - tokens;
    return kOutsideMost / (1.0F + static_cast<float>(distance) / kDistanceTokens);
  }
  if (max == min) return 1.0F;
  const auto width = static_cast<float>(max - min);
  const float narrow = 1.0F / (1.0F + width / kWidthTokens);
  const float room = static_cast<float>(max - tokens) / width;
  return kOutsideMost + (1.0F - kOutsideMost) * (kWidthShare * narrow + (1.0F - kWidthShare) * room);
}

FixedValue ContextRangeLabel::value_of(const Endpoint& endpoint) const {
  const auto label = endpoint.labels.find(label_);
  if (label == endpoint.labels.end()) return {.ids = {static_cast<std::uint64_t>(State::kNone)}};
  const auto range = ContextRange::parse(label->second);
  if (!range) return {.ids = {static_cast<std::uint64_t>(State::kBad)}};
  return {.ids = {static_cast<std::uint64_t>(State::kGood), range->min, range->max}};
}

void ContextLengthAwareScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                     std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const FixedValue& value = input.fixed[candidates[c]];
    switch (ContextRangeLabel::state(value)) {
      case ContextRangeLabel::State::kNone: scores[c] = 0.5F; break;
      case ContextRangeLabel::State::kBad: scores[c] = 0.0F; break;
      case ContextRangeLabel::State::kGood:
        scores[c] = ContextRangeLabel::range(value).score(input.request.prompt_tokens);
        break;
    }
  }
}

std::size_t ContextLengthAwareFilter::filter(const PluginInput& input,
                                             std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) {
    const ContextRangeLabel::State state = ContextRangeLabel::state(input.fixed[i]);
    return state == ContextRangeLabel::State::kNone ||
           (state == ContextRangeLabel::State::kGood &&
            ContextRangeLabel::range(input.fixed[i]).holds(input.request.prompt_tokens));
  });
}

std::string ContextLengthAwareFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const FixedValue& value = input.fixed[endpoint];
  if (ContextRangeLabel::state(value) == ContextRangeLabel::State::kBad)
    return fmt::format("label {} is no range; wanted min-max", label_.name());
  const ContextRange range = ContextRangeLabel::range(value);
  return fmt::format("{} tokens in the prompt; the endpoint is for {} to {}", input.request.prompt_tokens, range.min,
                     range.max);
}

}  // namespace llmd::scheduling
