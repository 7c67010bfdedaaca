#include "scheduling/scorers/zone_scorer.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "scheduling/header_name.h"
#include "scheduling/scorers/label_id.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "zone", .type = ParameterType::kText, .help = "the zone where this router runs"},
    ParameterSpec{.name = "region", .type = ParameterType::kText, .help = "the region where this router runs"},
    ParameterSpec{.name = "regionScore",
                  .type = ParameterType::kNumber,
                  .number = 0.5,
                  .max = 1,
                  .help = "score of an endpoint in another zone of the same region"},
};

enum class Match : std::uint8_t { kUnknown, kSame, kOther };

Match compare(std::string_view here, std::string_view there) noexcept {
  if (here.empty() || there.empty()) return Match::kUnknown;
  return here == there ? Match::kSame : Match::kOther;
}

}  // namespace

constinit const PluginSpec ZoneScorer::kSpec{
    .type = "zone-scorer",
    .kind = PluginKind::kScorer,
    .help = "endpoints in this router's zone, then in its region",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      Options options{.zone = trimmed(parameters.text("zone")),
                      .region = trimmed(parameters.text("region")),
                      .region_score = parameters.real("regionScore")};
      if (options.zone.empty() && options.region.empty()) {
        return fail(ErrorCode::kConfigInvalid, "zone-scorer: neither zone nor region is given",
                    "say where this router runs, as the labels of its node do");
      }
      return std::make_unique<const ZoneScorer>(std::move(options));
    },
    .inputs = "the labels topology.kubernetes.io/zone and topology.kubernetes.io/region",
    .ours = true,
};

FixedValue ZoneScorer::fixed_value(const Endpoint& endpoint) const {
  const Match zone = compare(options_.zone, label_value(endpoint, "topology.kubernetes.io/zone"));
  const Match region = compare(options_.region, label_value(endpoint, "topology.kubernetes.io/region"));
  if (region == Match::kOther) return {.low = 0.0F};
  if (zone == Match::kSame) return {.low = 1.0F};
  if (region == Match::kSame) return {.low = options_.region_score};
  return {.low = zone == Match::kOther ? 0.0F : kNoData};
}

void ZoneScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                       std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) scores[c] = input.fixed[candidates[c]].low;
}

}  // namespace llmd::scheduling
