#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// The prompt lengths that an endpoint is meant for, in tokens, both ends included.
struct ContextRange {
  std::uint64_t min = 0;
  std::uint64_t max = 0;

  /// "min-max", blanks around either allowed. No value: not that, or min above max.
  [[nodiscard]] static std::optional<ContextRange> parse(std::string_view text) noexcept;
  /// How well a prompt of so many tokens suits. Inside: 0.3 + 0.7 * (0.7 / (1 + width / 10,000) + 0.3 * (max - tokens)
  /// / width), so above 0.3, higher for narrow ranges and for room above; 1 if the width is 0. Outside: 0.3 / (1 +
  /// distance / 1,000).
  [[nodiscard]] float score(std::uint64_t tokens) const noexcept;
  [[nodiscard]] bool holds(std::uint64_t tokens) const noexcept { return tokens >= min && tokens <= max; }
};

/// The ranges of endpoints, as a label says them, in the form of fixed values.
class ContextRangeLabel {
 public:
  enum class State : std::uint8_t { kNone, kBad, kGood };  // no label; not a range; a range
  explicit ContextRangeLabel(std::string label) noexcept : label_{std::move(label)} {}
  [[nodiscard]] const std::string& name() const noexcept { return label_; }
  [[nodiscard]] FixedValue value_of(const Endpoint& endpoint) const;
  [[nodiscard]] static State state(const FixedValue& value) noexcept { return static_cast<State>(value.ids[0]); }
  [[nodiscard]] static ContextRange range(const FixedValue& value) noexcept { return {value.ids[1], value.ids[2]}; }

 private:
  std::string label_;
};

/// Prefers endpoints whose range of prompt lengths suits: ContextRange::score(), 0.5 without the label, 0 if the label
/// is not a range.
class ContextLengthAwareScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;  // of the scorer, and of the filter if it is switched on
  explicit ContextLengthAwareScorer(std::string label) noexcept : label_{std::move(label)} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override { return label_.value_of(endpoint); }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  ContextRangeLabel label_;
};

/// Keeps endpoints whose range holds the prompt's length, and those without the label.
class ContextLengthAwareFilter final : public Filter {
 public:
  explicit ContextLengthAwareFilter(std::string label) noexcept : label_{std::move(label)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override { return label_.value_of(endpoint); }
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  ContextRangeLabel label_;
};

}  // namespace llmd::scheduling
