#include "scheduling/handlers/disagg_profile_handler.h"

#include <fmt/format.h>

#include <array>
#include <initializer_list>

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 2> kStageOrders{"decode-first", DisaggProfileHandler::kPrefillFirst};
constexpr ParameterSpec profile_name(std::string_view name, std::string_view normal, std::string_view help) {
  return {.name = name, .type = ParameterType::kText, .text = normal, .help = help};
}
constexpr ParameterSpec decider_name(std::string_view name, std::string_view help) {
  return {.name = name, .type = ParameterType::kText, .help = help, .refers = PluginKind::kDecider};
}
constexpr ParameterSpec kStageOrder{.name = "stageOrder",
                                    .type = ParameterType::kText,
                                    .text = "decode-first",
                                    .choices = kStageOrders,
                                    .help = "which profile runs first"};
constexpr std::array kParameters{
    kStageOrder,
    profile_name("profiles.decode", "decode", "name of the decode profile"),
    profile_name("profiles.prefill", "prefill", "name of the prefill profile"),
    profile_name("profiles.encode", "encode", "name of the profile that chooses who encodes media"),
    decider_name("deciders.prefill", "whether a request gets a prefill leg; empty: never"),
    decider_name("deciders.encode", "whether a request gets an encode leg; empty: never"),
    profile_name("decodeProfile", "", "old name of profiles.decode"),
    profile_name("prefillProfile", "", "old name of profiles.prefill"),
    profile_name("encodeProfile", "", "old name of profiles.encode"),
    decider_name("prefillDeciderPluginName", "old name of deciders.prefill"),
    decider_name("encodeDeciderPluginName", "old name of deciders.encode"),
    decider_name("deciderPluginName", "older name of deciders.prefill"),
};
constexpr std::array kPdParameters{
    profile_name("decodeProfile", "decode", "name of the decode profile"),
    profile_name("prefillProfile", "prefill", "name of the prefill profile"),
    ParameterSpec{.name = "prefixPluginType",
                  .type = ParameterType::kText,
                  .text = "prefix-cache-scorer",
                  .help = "type of the plugin that matches prefixes",
                  .support = Support::kNoEffect},
    ParameterSpec{.name = "prefixPluginName",
                  .type = ParameterType::kText,
                  .text = "prefix-cache-scorer",
                  .help = "name of the plugin that matches prefixes",
                  .support = Support::kNoEffect},
    ParameterSpec{.name = "primaryPort",
                  .type = ParameterType::kInteger,
                  .number = 0,
                  .max = 65'535,
                  .help = "port to connect to instead of the endpoint's, which a header names; 0: the endpoint's"},
    decider_name("deciderPluginName", "whether a request gets a prefill leg"),
    ParameterSpec{.name = "prefixMatchInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer of prefix matches; empty: the only one",
                  .refers = PluginKind::kDataProducer},
};

/// The names that may not be used in one object.
bool is_old_name(std::string_view name) { return name != "stageOrder" && name.find('.') == std::string_view::npos; }

std::string first_of(const ParameterReader& parameters, std::initializer_list<std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) {
    text = parameters.text(name);
    if (!text.empty()) break;
  }
  return text;
}

}  // namespace

constinit const PluginSpec DisaggProfileHandler::kSpec{
    .type = "disagg-profile-handler",
    .kind = PluginKind::kProfileHandler,
    .help = "decode, prefill and encode by separate profiles, the latter two when their deciders say so",
    .parameters = kParameters,
};

constinit const PluginSpec DisaggProfileHandler::kPdSpec{
    .type = "pd-profile-handler",
    .kind = PluginKind::kProfileHandler,
    .help = "decode and prefill by separate profiles; older form of disagg-profile-handler",
    .parameters = kPdParameters,
    .stability = Stability::kDeprecated,
};

Result<DisaggProfileHandler> DisaggProfileHandler::read(const ParameterReader& parameters) {
  if (parameters.specs().size() == kPdParameters.size()) {
    return DisaggProfileHandler{.decode_profile = parameters.text("decodeProfile"),
                                .prefill_profile = parameters.text("prefillProfile"),
                                .prefill_decider = parameters.text("deciderPluginName"),
                                .primary_port = static_cast<std::uint16_t>(parameters.integer("primaryPort"))};
  }
  std::string_view old_name;
  std::string_view new_name;
  for (const ParameterSpec& each : kParameters) {
    if (!parameters.is_set(each.name) || each.name == "stageOrder") continue;
    (is_old_name(each.name) ? old_name : new_name) = each.name;
  }
  if (!old_name.empty() && !new_name.empty()) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("disagg-profile-handler has {} and the older {}", new_name, old_name),
                "use profiles and deciders only");
  }
  DisaggProfileHandler handler{
      .prefill_first = parameters.text("stageOrder") == kPrefillFirst,
      .decode_profile = first_of(parameters, {"decodeProfile", "profiles.decode"}),
      .prefill_profile = first_of(parameters, {"prefillProfile", "profiles.prefill"}),
      .encode_profile = first_of(parameters, {"encodeProfile", "profiles.encode"}),
      .prefill_decider = first_of(parameters, {"deciders.prefill", "prefillDeciderPluginName", "deciderPluginName"}),
      .encode_decider = first_of(parameters, {"deciders.encode", "encodeDeciderPluginName"})};
  if (handler.prefill_first && !handler.prefill_decider.empty()) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("disagg-profile-handler: deciders.prefill is \"{}\" with stageOrder prefill-first",
                            handler.prefill_decider),
                "prefill-first always prefills; drop the decider or use decode-first");
  }
  return handler;
}

}  // namespace llmd::scheduling
