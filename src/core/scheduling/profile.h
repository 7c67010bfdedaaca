#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "model/explanation.h"
#include "scheduling/endpoint_cache.h"
#include "scheduling/filters/health_filter.h"
#include "scheduling/filters/model_filter.h"
#include "scheduling/filters/outlier_filter.h"
#include "scheduling/filters/subset_filter.h"
#include "scheduling/plugin.h"
#include "scheduling/plugin_timing.h"

namespace llmd::scheduling {

/// What one run of a profile works in. Reused; what it holds is valid until the next run.
struct ProfileScratch {
  std::vector<EndpointIndex> candidates;
  std::vector<float> scores;     // a row a scorer, raw: kNoData where there is none
  std::vector<float> stand_ins;  // a scorer: what stands in for kNoData
  std::vector<float> totals;
  std::vector<float> weights;  // a scorer: those that were used
  std::vector<PickKey> keys;
  std::vector<EndpointIndex> picked;  // best first
  std::vector<EndpointIndex> before;  // candidates before a filter, for explanations
  std::vector<std::uint32_t> order;   // positions of candidates, best first, for explanations
  bool model_served = false;          // by any endpoint, whatever its health
};

/// One profile, built: filters in order until none is left, the sum of clamp(score, 0, 1) * weight over its scorers, a
/// picker. Immutable; the plugins belong to the Scheduler.
class Profile {
 public:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// Where the scheduler keeps what a plugin has beside its parameters: places in its lists, or kNone.
  struct Slots {
    std::size_t fixed = kNone;
    std::size_t memory = kNone;
    std::size_t timed = kNone;
  };
  struct Belongings;
  /// Puts what belongs to the plugin of the slots, which is called next, into the input.
  static void hand_over(const Slots& slots, const Belongings& belongings, PluginInput& input);
  struct NamedFilter {
    std::string name;
    const Filter* filter;
    Slots slots{};
  };
  struct WeightedScorer {
    std::string name;
    const Scorer* scorer;
    float weight;
    Slots slots{};
  };
  struct NamedPicker {
    std::string name;
    const Picker* picker = nullptr;
    std::size_t timed = kNone;
  };
  struct Parts {
    std::string name;
    std::vector<NamedFilter> filters;
    std::vector<WeightedScorer> scorers;
    NamedPicker picker;
  };
  /// What is to be told of a run.
  struct Telling {
    ProfileExplanation& into;
    bool brief = false;                                // see Explanation
    std::uint32_t listed_max = 1;                      // endpoints a list, at least 1
    std::span<const LatencyPrediction> predictions{};  // one an endpoint; empty: none are made
    std::uint64_t chance = 0;                          // what a random choice is drawn from
    std::uint64_t turn = 0;                            // how many round robin has served
  };
  /// What belongs to the plugins, in the order of their Slots.
  struct Belongings {
    const EndpointCache& cache;
    std::span<const std::shared_ptr<PluginMemory>> memory;  // empty: nobody remembers
    /// Weights that one profile has instead of its own, one a scorer, and whose they are; null: none has.
    const Profile* learned_for = nullptr;
    std::span<const float> learned_weights{};
    std::string_view learned_arm{};
    PluginTiming* timing = nullptr;  // null: nobody asks how long plugins take
  };
  /// The places of the built-in filters among the timed plugins.
  enum BuiltIn : std::size_t { kModelFilter, kSubsetFilter, kHealthFilter, kOutlierFilter, kBuiltIns };
  [[nodiscard]] static std::string_view built_in_name(BuiltIn filter) noexcept;

  explicit Profile(Parts parts) : owned_parts_{std::make_shared<const Parts>(std::move(parts))} {}

  /// Fills scratch.picked with up to `picked_max`: empty if the filters left nothing. `telling` (may be null) is told
  /// of the filters; tell_choice() does the rest. The choice and what is drawn from `rng` are the same with and
  /// without.
  void run(const PluginInput& input, const Belongings& belongings, Rng& rng, std::uint32_t picked_max,
           ProfileScratch& scratch, const Telling* telling) const;

  /// Tells the candidates and the choice of the run that left the scratch, in which keys.front() is of picked.front().
  void tell_choice(const PluginInput& input, ProfileScratch& scratch, const Telling& telling) const;

  /// Whether its configured filters keep any of the candidates, whose order is lost.
  [[nodiscard]] bool keeps_any(PluginInput input, const Belongings& belongings,
                               std::span<EndpointIndex> candidates) const noexcept;

  [[nodiscard]] const std::string& name() const noexcept { return parts_.name; }
  [[nodiscard]] std::span<const WeightedScorer> scorers() const noexcept { return parts_.scorers; }
  /// How many endpoints its picker is to name.
  [[nodiscard]] std::uint32_t endpoints_max() const noexcept { return parts_.picker.picker->endpoints_max(); }

 private:
  void filter(PluginInput& input, const Belongings& belongings, Rng& rng, ProfileScratch& scratch,
              const Telling* telling) const;
  void score(PluginInput& input, const Belongings& belongings, Rng& rng, ProfileScratch& scratch) const;
  void pick(const Belongings& belongings, Rng& rng, std::uint32_t picked_max, ProfileScratch& scratch) const;

  ModelFilter model_filter_;
  SubsetFilter subset_filter_;
  HealthFilter health_filter_;
  OutlierFilter outlier_filter_;
  std::shared_ptr<const Parts> owned_parts_;  // explanations share it for its names
  const Parts& parts_ = *owned_parts_;
};

}  // namespace llmd::scheduling
