#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "model/decision.h"
#include "scheduling/endpoint_cache.h"
#include "scheduling/filters/health_filter.h"
#include "scheduling/filters/model_filter.h"
#include "scheduling/filters/outlier_filter.h"
#include "scheduling/plugin.h"

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
  };
  struct Parts {
    std::string name;
    std::vector<NamedFilter> filters;
    std::vector<WeightedScorer> scorers;
    NamedPicker picker;
  };
  struct Limits {
    std::uint32_t picked_max;
    std::uint32_t explained_max;
  };
  /// What belongs to the plugins, in the order of their Slots.
  struct Belongings {
    const EndpointCache& cache;
    std::span<const std::shared_ptr<PluginMemory>> memory;  // empty: nobody remembers
    /// Weights that one profile has instead of its own, one a scorer, and whose they are; null: none has.
    const Profile* learned_for = nullptr;
    std::span<const float> learned_weights{};
    std::string_view learned_arm{};
  };

  explicit Profile(Parts parts) : parts_{std::move(parts)} {}

  /// Fills scratch.picked: empty if the filters left nothing. `explanation` may be null.
  void run(const PluginInput& input, const Belongings& belongings, Rng& rng, const Limits& limits,
           ProfileScratch& scratch, ProfileExplanation* explanation) const;

  /// Whether its configured filters keep any of the candidates, whose order is lost.
  [[nodiscard]] bool keeps_any(PluginInput input, const Belongings& belongings,
                               std::span<EndpointIndex> candidates) const noexcept;

  [[nodiscard]] const std::string& name() const noexcept { return parts_.name; }
  [[nodiscard]] std::span<const WeightedScorer> scorers() const noexcept { return parts_.scorers; }
  /// How many endpoints its picker is to name.
  [[nodiscard]] std::uint32_t endpoints_max() const noexcept { return parts_.picker.picker->endpoints_max(); }

 private:
  void filter(PluginInput& input, const Belongings& belongings, Rng& rng, std::uint32_t explained_max,
              ProfileScratch& scratch, ProfileExplanation* explanation) const;
  void score(PluginInput& input, const Belongings& belongings, Rng& rng, ProfileScratch& scratch) const;
  void pick(Rng& rng, std::uint32_t picked_max, ProfileScratch& scratch) const;
  void explain(const PluginInput& input, std::uint32_t explained_max, const ProfileScratch& scratch,
               ProfileExplanation& explanation) const;
  [[nodiscard]] CandidateScore explain_candidate(const PluginInput& input, std::size_t position,
                                                 const ProfileScratch& scratch) const;

  ModelFilter model_filter_;
  HealthFilter health_filter_;
  OutlierFilter outlier_filter_;
  Parts parts_;
};

}  // namespace llmd::scheduling
