#include "scheduling/handlers/disagg_profile_handler.h"

#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 2> kStageOrders{"decode-first", DisaggProfileHandler::kPrefillFirst};
constexpr std::array kParameters{
    ParameterSpec{.name = "stageOrder",
                  .type = ParameterType::kText,
                  .text = "decode-first",
                  .choices = kStageOrders,
                  .help = "which profile runs first"},
    ParameterSpec{.name = "profiles.decode",
                  .type = ParameterType::kText,
                  .text = "decode",
                  .help = "name of the decode profile"},
    ParameterSpec{.name = "profiles.prefill",
                  .type = ParameterType::kText,
                  .text = "prefill",
                  .help = "name of the prefill profile"},
    ParameterSpec{.name = "deciders.prefill",
                  .type = ParameterType::kText,
                  .help = "name of the P/D decider; empty: no prefill leg"},
};

}  // namespace

constinit const PluginSpec DisaggProfileHandler::kSpec{
    .type = "disagg-profile-handler",
    .kind = PluginKind::kProfileHandler,
    .help = "decode and prefill by separate profiles, the prefill leg when a decider says so",
    .parameters = kParameters,
};

DisaggProfileHandler DisaggProfileHandler::read(const ParameterReader& parameters) {
  return {.prefill_first = parameters.text("stageOrder") == kPrefillFirst,
          .decode_profile = parameters.text("profiles.decode"),
          .prefill_profile = parameters.text("profiles.prefill"),
          .prefill_decider = parameters.text("deciders.prefill")};
}

}  // namespace llmd::scheduling
