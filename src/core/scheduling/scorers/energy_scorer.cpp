#include "scheduling/scorers/energy_scorer.h"

#include <array>
#include <memory>

#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "label",
                  .type = ParameterType::kText,
                  .text = "llm-d.ai/joules-per-token",
                  .help = "the endpoint's label to read while there is no measurement; empty: none"},
};

}  // namespace

constinit const PluginSpec EnergyScorer::kSpec{
    .type = "energy-scorer",
    .kind = PluginKind::kScorer,
    .help = "little energy a token, min-max over the candidates",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const EnergyScorer>(trimmed(parameters.text("label")));
    },
    .inputs = "joules a token, or a label that gives them",
    .no_data = "the label's number; without it, the scheduler's stand-in",
    .ours = true,
};

}  // namespace llmd::scheduling
