#pragma once

#include <string>
#include <utility>

#include "scheduling/scorers/signal_or_label.h"

namespace llmd::scheduling {

/// Prefers endpoints whose tokens are cheap, by the cost of a million tokens in any one currency: SignalOrLabelScorer.
class CostScorer final : public SignalOrLabelScorer {
 public:
  static const PluginSpec kSpec;
  explicit CostScorer(std::string label) noexcept
      : SignalOrLabelScorer{Signal::kCostPerMillionTokens, std::move(label)} {}
};

}  // namespace llmd::scheduling
