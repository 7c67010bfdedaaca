#include "scheduling/scorers/cost_scorer.h"

#include <array>
#include <memory>

#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "label",
                  .type = ParameterType::kText,
                  .text = "llm-d.ai/cost-per-million-tokens",
                  .help = "the endpoint's label to read while there is no measurement; empty: none"},
};

}  // namespace

constinit const PluginSpec CostScorer::kSpec{
    .type = "cost-scorer",
    .kind = PluginKind::kScorer,
    .help = "cheap tokens, min-max over the candidates",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const CostScorer>(trimmed(parameters.text("label")));
    },
    .inputs = "cost of a million tokens, or a label that gives it",
    .no_data = "the label's number; without it, the scheduler's stand-in",
    .ours = true,
};

}  // namespace llmd::scheduling
