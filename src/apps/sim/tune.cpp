#include "apps/sim/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/sim/sources.h"
#include "base/rng.h"
#include "scheduling/plugin_spec.h"

namespace llmd::sim {
namespace {

constexpr double kFirstFactor = 4.0;
constexpr double kLastFactor = 1.2;
constexpr double kWeightMin = 0.001;
constexpr double kWeightMax = 1'000;

/// Where a weight stands.
struct Place {
  std::size_t profile = 0;
  std::size_t plugin = 0;
};

bool is_scorer(const scheduling::SchedulingConfig& config, const std::string& name) {
  const auto found = std::ranges::find(config.plugins, name, &scheduling::PluginInstance::name);
  if (found == config.plugins.end()) return false;
  const scheduling::PluginSpec* spec = scheduling::find_plugin_spec(found->type);
  return spec != nullptr && spec->kind == scheduling::PluginKind::kScorer;
}

std::vector<Place> weights_of(const scheduling::SchedulingConfig& config) {
  std::vector<Place> places;
  for (std::size_t profile = 0; profile < config.profiles.size(); ++profile) {
    const std::size_t before = places.size();
    const auto& plugins = config.profiles[profile].plugins;
    for (std::size_t plugin = 0; plugin < plugins.size(); ++plugin) {
      if (plugins[plugin].weight > 0 && is_scorer(config, plugins[plugin].plugin)) places.push_back({profile, plugin});
    }
    if (places.size() == before + 1) places.pop_back();  // alone it decides the same with any weight
  }
  return places;
}

scheduling::PluginRef& at(scheduling::SchedulingConfig& config, Place place) {
  return config.profiles[place.profile].plugins[place.plugin];
}

/// What a run was worth.
struct Worth {
  double goodput = 0;
  double ttft_p90_ms = 0;
  std::uint64_t failed = 0;  // they have no TTFT
  [[nodiscard]] bool better_than(const Worth& other) const noexcept {
    if (goodput != other.goodput) return goodput > other.goodput;
    return failed != other.failed ? failed < other.failed : ttft_p90_ms < other.ttft_p90_ms;
  }
};

class Search {
 public:
  Search(const NamedWorkload& workload, const TuneOptions& options, std::function<void(std::string_view)> progress)
      : workload_{workload}, options_{options}, progress_{std::move(progress)} {}

  Result<Worth> worth(const scheduling::SchedulingConfig& config) {
    ++trials_;
    LLMD_TRY(const Comparison comparison,
             compare(workload_, {policy_of_config("trial", config)}, options_.compare, nullptr));
    Worth worth;
    for (const simulation::Summary& run : comparison.policies.front().runs) {
      worth.goodput += run.goodput / options_.compare.seeds;
      worth.ttft_p90_ms += run.ttft_ms.p90 / options_.compare.seeds;
      worth.failed += run.failed;
    }
    return worth;
  }

  /// Draws all weights, and keeps them if that is better.
  Result<void> draw(scheduling::SchedulingConfig& config, const std::vector<Place>& places, Rng& rng, Worth& best) {
    scheduling::SchedulingConfig drawn = config;
    for (const Place place : places) at(drawn, place).weight = rounded(std::pow(10.0, 4 * rng.uniform() - 2));
    LLMD_TRY(const bool better, try_out(config, std::move(drawn), "all drawn", best));
    (void)better;
    return {};
  }

  /// Moves the weight by the factor if that is better.
  Result<bool> improve(scheduling::SchedulingConfig& config, Place place, double factor, Worth& best) {
    scheduling::SchedulingConfig moved = config;
    double& weight = at(moved, place).weight;
    weight = rounded(weight * factor);
    const double before = at(config, place).weight;
    const bool moves = factor > 1 ? weight > before : weight < before;  // not beyond the bounds
    if (!moves || spent()) return false;
    const std::string what = fmt::format("{} {:.4g}", at(moved, place).plugin, weight);
    return try_out(config, std::move(moved), what, best);
  }

  [[nodiscard]] bool spent() const noexcept { return trials_ >= options_.trials_max; }
  [[nodiscard]] std::uint32_t trials() const noexcept { return trials_; }

 private:
  static double rounded(double weight) {
    return std::clamp(std::round(weight * 1'000) / 1'000, kWeightMin, kWeightMax);
  }

  /// Whether `other` is better: then `config` is it.
  Result<bool> try_out(scheduling::SchedulingConfig& config, scheduling::SchedulingConfig other, std::string_view what,
                       Worth& best) {
    LLMD_TRY(const Worth found, worth(other));
    const bool better = found.better_than(best);
    if (progress_) {
      progress_(fmt::format("{}/{}: {}: goodput {:.2f} %, TTFT p90 {:.0f} ms{}", trials_, options_.trials_max, what,
                            found.goodput * 100, found.ttft_p90_ms, better ? ", kept" : ""));
    }
    if (better) {
      config = std::move(other);
      best = found;
    }
    return better;
  }

  const NamedWorkload& workload_;
  const TuneOptions& options_;
  std::function<void(std::string_view)> progress_;
  std::uint32_t trials_ = 0;
};

/// Another workload's sessions that begin before a moment.
class Beginning final : public simulation::Workload {
 public:
  Beginning(std::unique_ptr<simulation::Workload> workload, Duration until) noexcept
      : workload_{std::move(workload)}, until_{until} {}
  [[nodiscard]] std::optional<simulation::SimRequest> next() override {
    auto request = workload_->next();
    return request && request->arrival < until_ ? std::move(request) : std::nullopt;
  }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return workload_->block_tokens(); }

 private:
  std::unique_ptr<simulation::Workload> workload_;
  Duration until_;
};

/// The first half of the time, for each seed.
NamedWorkload first_half(const NamedWorkload& workload, const CompareOptions& options) {
  std::map<std::uint64_t, Duration> halves;
  for (std::uint32_t repetition = 0; repetition < options.seeds; ++repetition) {
    const std::uint64_t seed = options.fleet.seed + repetition;
    Duration last{};
    const auto counted = workload.make(seed);
    while (const auto request = counted->next()) last = request->arrival;
    halves.emplace(seed, last / 2);
  }
  NamedWorkload half = workload;
  half.make = [make = workload.make, halves = std::move(halves)](std::uint64_t seed) {
    return std::make_unique<Beginning>(make(seed), halves.at(seed));
  };
  return half;
}

}  // namespace

Result<Tuned> tune(const scheduling::SchedulingConfig& config, const NamedWorkload& workload,
                   const TuneOptions& options, const std::function<void(std::string_view)>& progress) {
  const std::vector<Place> places = weights_of(config);
  if (places.empty()) {
    return fail(ErrorCode::kInvalidRequest,
                "no profile of the configuration has two scorers with weights above 0: there is nothing to weigh");
  }
  const NamedWorkload half = first_half(workload, options.compare);
  Search search{half, options, progress};
  Tuned tuned{.config = config};
  LLMD_TRY(Worth best, search.worth(config));
  tuned.goodput_before = best.goodput;
  Rng rng{options.compare.fleet.seed};
  while (search.trials() <= options.trials_max / 2) {
    LLMD_TRY_VOID(search.draw(tuned.config, places, rng, best));
  }
  for (double factor = kFirstFactor; factor >= kLastFactor && !search.spent();) {
    bool any = false;
    for (const Place place : places) {
      LLMD_TRY(const bool larger, search.improve(tuned.config, place, factor, best));
      bool moved = larger;
      if (!larger) {
        LLMD_TRY(moved, search.improve(tuned.config, place, 1 / factor, best));
      }
      any = any || moved;
    }
    if (!any) factor = std::sqrt(factor);
  }
  tuned.goodput = best.goodput;
  tuned.trials = search.trials();
  return tuned;
}

}  // namespace llmd::sim
