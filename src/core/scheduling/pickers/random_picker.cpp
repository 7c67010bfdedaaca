#include "scheduling/pickers/random_picker.h"

#include "scheduling/pickers/picker_parameters.h"

namespace llmd::scheduling {

constinit const PluginSpec RandomPicker::kSpec{
    .type = "random-picker",
    .kind = PluginKind::kPicker,
    .help = "random order, whatever the scores",
    .parameters = kPickerParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const RandomPicker>(picked_endpoints_max(parameters));
    },
};

void RandomPicker::rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept {
  for (std::size_t c = 0; c < totals.size(); ++c) {
    keys[c].rank = 0;
    keys[c].tie = rng.next();
  }
}

}  // namespace llmd::scheduling
