#include "scheduling/pickers/max_score_picker.h"

#include "scheduling/pickers/picker_parameters.h"

namespace llmd::scheduling {

constinit const PluginSpec MaxScorePicker::kSpec{
    .type = "max-score-picker",
    .kind = PluginKind::kPicker,
    .help = "highest total first, ties at random",
    .parameters = kPickerParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const MaxScorePicker>(picked_endpoints_max(parameters));
    },
};

void MaxScorePicker::rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept {
  for (std::size_t c = 0; c < totals.size(); ++c) {
    keys[c].rank = totals[c];
    keys[c].tie = rng.next();
  }
}

}  // namespace llmd::scheduling
