#include "scheduling/producers/weight_learner_plugin.h"

#include <array>

#include "scheduling/prediction/expected_cost.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kTurns = "turns";
constexpr std::string_view kRequests = "requests";
constexpr std::array kAssignments{kTurns, kRequests};

constexpr std::array kParameters{
    ParameterSpec{.name = "profile",
                  .type = ParameterType::kText,
                  .help = "the scheduling profile whose weights are learned; empty: the one that chooses who decodes"},
    ParameterSpec{.name = "boundFactor",
                  .type = ParameterType::kNumber,
                  .number = 4,
                  .min = 1.1,
                  .max = 64,
                  .help = "a weight is at most so many times the configured one, and at least that part of it"},
    ParameterSpec{.name = "controlShare",
                  .type = ParameterType::kNumber,
                  .number = 0.2,
                  .min = 0.2,
                  .max = 0.8,
                  .help = "of the traffic that always has the configured weights; in fifths, rounded up"},
    ParameterSpec{.name = "windowSeconds",
                  .type = ParameterType::kNumber,
                  .number = 120,
                  .min = 5,
                  .max = 3'600,
                  .help =
                      "learned weights that are measured to be worse are given up within so long, or 1000 requests; "
                      "longer: fewer false alarms"},
    kTtftObjective,
    kTpotObjective,
    ParameterSpec{
        .name = "sliceRequests",
        .type = ParameterType::kInteger,
        .number = 50,
        .min = 10,
        .max = 100'000,
        .help = "requests that one arm gets in a round, in at least a second; more: it learns more slowly, and surely"},
    ParameterSpec{.name = "assignment",
                  .type = ParameterType::kText,
                  .text = kRequests,
                  .choices = kAssignments,
                  .help = "each request draws an arm, or arms have all traffic in turns, which takes more traffic to "
                          "tell them apart"},
    ParameterSpec{.name = "frozen", .type = ParameterType::kBool, .help = "weights stay as they are; nothing is tried"},
    ParameterSpec{.name = "seed", .type = ParameterType::kInteger, .number = 1, .help = "of what is tried when"},
};

}  // namespace

constinit const PluginSpec WeightLearnerPlugin::kSpec{
    .type = "weight-learner",
    .kind = PluginKind::kDataProducer,
    .help = "learns the weights of a profile's scorers from outcomes, inside bounds, beside a control group",
    .parameters = kParameters,
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return PluginObjects{}; },
    .inputs = "TTFT and TPOT of answers; the request's objectives; prompt tokens, prefix matches",
    .no_data = "the configured weights",
    .ours = true,
};

WeightLearner::Options WeightLearnerPlugin::read(const ParameterReader& parameters) {
  return {
      .control_share = parameters.number("controlShare"),
      .window = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(parameters.number("windowSeconds"))),
      .slice_requests = parameters.count("sliceRequests"),
      .by_request = parameters.text("assignment") == kRequests,
      .ttft_objective_ms = parameters.real("ttftObjectiveMs"),
      .tpot_objective_ms = parameters.real("tpotObjectiveMs"),
      .frozen = parameters.flag("frozen"),
      .seed = static_cast<std::uint64_t>(parameters.integer("seed"))};
}

}  // namespace llmd::scheduling
