#include "scheduling/pickers/weighted_random_picker.h"

#include <cmath>
#include <limits>

#include "scheduling/pickers/picker_parameters.h"

namespace llmd::scheduling {

constinit const PluginSpec WeightedRandomPicker::kSpec{
    .type = "weighted-random-picker",
    .kind = PluginKind::kPicker,
    .help = "random order, chances proportional to the totals",
    .parameters = kPickerParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const WeightedRandomPicker>(picked_endpoints_max(parameters));
    },
};

void WeightedRandomPicker::rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept {
  for (std::size_t c = 0; c < totals.size(); ++c) {
    // The sample's key is U^(1/total); its logarithm orders the same way. 1 - uniform() lies in (0, 1].
    keys[c].rank = totals[c] > 0 ? std::log(1.0 - rng.uniform()) / static_cast<double>(totals[c])
                                 : -std::numeric_limits<double>::infinity();
    keys[c].tie = rng.next();
  }
}

}  // namespace llmd::scheduling
