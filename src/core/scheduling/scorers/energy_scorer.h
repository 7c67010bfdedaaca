#pragma once

#include <string>
#include <utility>

#include "scheduling/scorers/signal_or_label.h"

namespace llmd::scheduling {

/// Prefers endpoints that spend little energy, by joules a token: SignalOrLabelScorer.
class EnergyScorer final : public SignalOrLabelScorer {
 public:
  static const PluginSpec kSpec;
  explicit EnergyScorer(std::string label) noexcept : SignalOrLabelScorer{Signal::kJoulesPerToken, std::move(label)} {}
};

}  // namespace llmd::scheduling
