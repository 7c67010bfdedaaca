#include "scheduling/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "scheduling/deciders/expected_latency_pd_decider.h"
#include "scheduling/handlers/data_parallel_profile_handler.h"
#include "scheduling/handlers/disagg_profile_handler.h"
#include "scheduling/handlers/header_profile_handler.h"
#include "scheduling/nearest_name.h"
#include "scheduling/producers/approx_prefix_cache_producer.h"
#include "scheduling/producers/inflight_load_producer.h"
#include "scheduling/producers/mm_embeddings_cache_producer.h"
#include "scheduling/producers/predicted_latency_producer.h"
#include "scheduling/producers/token_producer.h"
#include "scheduling/producers/weight_learner_plugin.h"
#include "scheduling/scorers/expected_latency_scorer.h"

namespace llmd::scheduling {
namespace {

std::unexpected<Error> invalid(std::string what, std::string hint = {}) {
  return fail(ErrorCode::kConfigInvalid, std::move(what), std::move(hint));
}

/// A plugin of the configuration with its type, found by name.
struct Known {
  const PluginInstance* instance;
  const PluginSpec* spec;
  const PluginObjects* objects;
};
using KnownPlugins = std::map<std::string_view, Known>;

std::vector<std::string_view> names_of(const KnownPlugins& known) {
  std::vector<std::string_view> names;
  for (const auto& [name, plugin] : known) names.push_back(name);
  return names;
}

Result<const PluginSpec*> checked_spec(const PluginInstance& instance) {
  const PluginSpec* spec = find_plugin_spec(instance.type);
  if (spec == nullptr) {
    std::vector<std::string_view> types;
    for (const PluginSpec* each : plugin_specs()) types.push_back(each->type);
    return invalid(fmt::format("plugin type \"{}\" is not known", instance.type),
                   nearest_name_hint(instance.type, types));
  }
  LLMD_TRY_VOID(check_parameters(spec->type, spec->parameters, instance.parameters));
  return spec;
}

Result<KnownPlugins> make_plugins(const SchedulingConfig& config, std::vector<PluginObjects>& plugins) {
  KnownPlugins known;
  plugins.reserve(config.plugins.size());  // Known points into it
  for (const PluginInstance& instance : config.plugins) {
    LLMD_TRY(const PluginSpec* spec, checked_spec(instance));
    PluginObjects objects;
    if (spec->make != nullptr) {
      LLMD_TRY(objects, spec->make(ParameterReader{spec->parameters, instance.parameters, &config}));
    }
    plugins.push_back(std::move(objects));
    if (!known.emplace(instance.name, Known{&instance, spec, &plugins.back()}).second) {
      return invalid(fmt::format("two plugins are named \"{}\"", instance.name),
                     "give one of them another name; the name defaults to the type");
    }
  }
  return known;
}

Result<Known> lookup(const KnownPlugins& known, std::string_view name, std::string_view place) {
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  return invalid(fmt::format("{} names plugin \"{}\", which is not configured", place, name),
                 nearest_name_hint(name, names_of(known)));
}

/// The plugin's place among those that can be timed, one for each name at each of llm-d's extension points.
std::size_t timed_place(BuiltScheduler& built, std::string_view extension_point, const PluginInstance& instance) {
  const auto found = std::ranges::find_if(built.timed, [&](const TimedPlugin& each) {
    return each.extension_point == extension_point && each.name == instance.name;
  });
  const auto place = static_cast<std::size_t>(found - built.timed.begin());
  if (found == built.timed.end()) built.timed.push_back({extension_point, instance.type, instance.name});
  return place;
}

constexpr std::string_view kFilterPoint = "Filter";
constexpr std::string_view kDataProducerPoint = "DataProducer";

/// Gives the object its places among those with fixed values and with memory.
Profile::Slots place(BuiltScheduler& built, const Plugin& plugin) {
  const auto place_in = [&](auto& list, const auto& is_it) {
    const auto found = std::find_if(list.begin(), list.end(), is_it);
    return found == list.end() ? Profile::kNone : static_cast<std::size_t>(found - list.begin());
  };
  return {.fixed = place_in(built.with_fixed, [&](const Plugin* each) { return each == &plugin; }),
          .memory = place_in(built.rememberers, [&](const Rememberer& each) { return each.plugin == &plugin; })};
}

/// The same, and the place among the timed.
Profile::Slots place(BuiltScheduler& built, const Plugin& plugin, std::string_view extension_point,
                     const PluginInstance& instance) {
  Profile::Slots slots = place(built, plugin);
  slots.timed = timed_place(built, extension_point, instance);
  return slots;
}

void list_objects(BuiltScheduler& built) {
  for (std::size_t i = 0; i < built.plugins.size(); ++i) {
    const PluginObjects& objects = built.plugins[i];
    const std::pair<const Plugin*, std::string_view> all[] = {{objects.filter.get(), "filter"},
                                                              {objects.scorer.get(), "scorer"},
                                                              {objects.picker.get(), "picker"},
                                                              {objects.decider.get(), "decider"},
                                                              {objects.admitter.get(), "admitter"}};
    for (const auto& [plugin, verb] : all) {
      if (plugin == nullptr) continue;
      built.all.push_back(plugin);
      if (plugin->has_fixed_value()) built.with_fixed.push_back(plugin);
      if (plugin->make_memory() != nullptr)
        built.rememberers.push_back(
            {plugin, fmt::format("{}/{}/{}", built.config.plugins[i].name, built.config.plugins[i].type, verb)});
    }
    if (objects.admitter != nullptr)
      built.admitters.push_back(
          {objects.admitter.get(), place(built, *objects.admitter, "Admission", built.config.plugins[i])});
  }
}

/// A plugin of another kind has nothing to do in a profile, as in llm-d.
Result<void> add_to_profile(BuiltScheduler& built, const PluginRef& ref, const Known& plugin, Profile::Parts& parts) {
  if (plugin.spec->kind == PluginKind::kScreener) return {};  // it is in all profiles
  const PluginObjects& objects = *plugin.objects;
  const std::string where = fmt::format("profile \"{}\"", parts.name);
  if (!std::isfinite(ref.weight))
    return invalid(fmt::format("{}: the weight of \"{}\" is not a finite number", where, ref.plugin));
  if (objects.filter != nullptr)
    parts.filters.push_back(
        {ref.plugin, objects.filter.get(), place(built, *objects.filter, kFilterPoint, *plugin.instance)});
  if (objects.scorer != nullptr) {
    parts.scorers.push_back({ref.plugin, objects.scorer.get(), static_cast<float>(ref.weight),
                             place(built, *objects.scorer, "Scorer", *plugin.instance)});
  }
  if (objects.picker != nullptr) {
    if (parts.picker.picker != nullptr) {
      return invalid(fmt::format("{} has two pickers, \"{}\" and \"{}\"", where, parts.picker.name, ref.plugin),
                     "keep one");
    }
    parts.picker = {ref.plugin, objects.picker.get(), timed_place(built, "Picker", *plugin.instance)};
  }
  return {};
}

std::vector<Profile::NamedFilter> screeners(BuiltScheduler& built, const KnownPlugins& known) {
  std::vector<Profile::NamedFilter> filters;
  for (const PluginInstance& instance : built.config.plugins) {
    const Known& plugin = known.at(instance.name);
    if (plugin.spec->kind != PluginKind::kScreener) continue;
    const Filter* filter = plugin.objects->filter.get();
    filters.push_back({instance.name, filter, place(built, *filter)});
  }
  return filters;
}

Result<void> make_profiles(BuiltScheduler& built, const KnownPlugins& known) {
  std::set<std::string_view> names;
  const std::vector<Profile::NamedFilter> before = screeners(built, known);
  built.screens = !before.empty();
  for (const ProfileConfig& config : built.config.profiles) {
    if (config.name.empty()) return invalid("a scheduling profile has no name");
    if (!names.insert(config.name).second)
      return invalid(fmt::format("two scheduling profiles are named \"{}\"", config.name));
    Profile::Parts parts{.name = config.name, .filters = before, .scorers = {}, .picker = {}};
    for (const PluginRef& ref : config.plugins) {
      LLMD_TRY(const Known plugin, lookup(known, ref.plugin, fmt::format("profile \"{}\"", config.name)));
      LLMD_TRY_VOID(add_to_profile(built, ref, plugin, parts));
    }
    built.profiles.push_back(std::make_unique<const Profile>(std::move(parts)));
  }
  return {};
}

const Profile* find_profile(const BuiltScheduler& built, std::string_view name) {
  for (const auto& profile : built.profiles) {
    if (profile->name() == name) return profile.get();
  }
  return nullptr;
}

Result<const Decider*> find_decider(const KnownPlugins& known, std::string_view name, std::string_view place) {
  if (name.empty()) return nullptr;
  LLMD_TRY(const Known decider, lookup(known, name, place));
  if (decider.objects->decider != nullptr) return decider.objects->decider.get();
  return invalid(fmt::format("{} is \"{}\", {}; expected a decider", place, name, a_plugin_kind(decider.spec->kind)));
}

Result<void> use_disagg_handler(BuiltScheduler& built, const KnownPlugins& known, const Known& plugin) {
  LLMD_TRY(const DisaggProfileHandler handler,
           DisaggProfileHandler::read({plugin.spec->parameters, plugin.instance->parameters}));
  const std::string_view type = plugin.spec->type;
  Stages& stages = built.stages;
  stages.prefill_first = handler.prefill_first;
  stages.decode = find_profile(built, handler.decode_profile);
  stages.prefill = find_profile(built, handler.prefill_profile);
  stages.encode = find_profile(built, handler.encode_profile);
  stages.data_parallel_port = handler.primary_port;
  if (stages.decode == nullptr) {
    return invalid(fmt::format("{}: there is no profile \"{}\" for decode", type, handler.decode_profile),
                   "add it, or name another in profiles.decode");
  }
  LLMD_TRY(stages.prefill_decider,
           find_decider(known, handler.prefill_decider, fmt::format("{}: deciders.prefill", type)));
  LLMD_TRY(stages.encode_decider,
           find_decider(known, handler.encode_decider, fmt::format("{}: deciders.encode", type)));
  return {};
}

Result<void> use_single_profile(BuiltScheduler& built, std::string_view type) {
  if (built.profiles.size() != 1) {
    return invalid(fmt::format("{} with {} scheduling profiles; expected 1", type, built.profiles.size()),
                   "use disagg-profile-handler for prefill and decode");
  }
  built.stages.decode = built.profiles.front().get();
  return {};
}

Result<void> use_handler(BuiltScheduler& built, const KnownPlugins& known) {
  const Known* handler = nullptr;
  for (const auto& [name, plugin] : known) {
    if (plugin.spec->kind != PluginKind::kProfileHandler) continue;
    if (handler != nullptr)
      return invalid(
          fmt::format("two profile handlers are configured, \"{}\" and \"{}\"", handler->instance->name, name),
          "keep one");
    handler = &plugin;
  }
  const std::size_t profiles = built.profiles.size();
  if (handler == nullptr) {
    return invalid(fmt::format("{} scheduling profiles and no profile handler", profiles),
                   "add disagg-profile-handler, or keep one profile");
  }
  built.timed_places.handler = timed_place(built, "ProfilePicker", *handler->instance);
  const ParameterReader parameters{handler->spec->parameters, handler->instance->parameters};
  if (handler->spec == &DisaggProfileHandler::kSpec || handler->spec == &DisaggProfileHandler::kPdSpec)
    return use_disagg_handler(built, known, *handler);
  if (handler->spec == &HeaderProfileHandler::kSpec) {
    const HeaderProfileHandler by_header = HeaderProfileHandler::read(parameters);
    if (profiles == 1) return use_single_profile(built, handler->spec->type);
    built.stages.profile_header = by_header.header;
    built.stages.decode = find_profile(built, by_header.default_profile);
    return {};
  }
  if (handler->spec == &DataParallelProfileHandler::kSpec)
    built.stages.data_parallel_port = DataParallelProfileHandler::read(parameters);
  return use_single_profile(built, handler->spec->type);
}

Result<void> check_reference(const KnownPlugins& known, const Known& plugin, const ParameterSpec& parameter) {
  const ParameterValue* value = plugin.instance->parameters.find(parameter.name);
  if (!parameter.refers || value == nullptr || std::get<std::string>(*value).empty()) return {};
  const auto& wanted = std::get<std::string>(*value);
  const std::string place = fmt::format("{}: {}", plugin.instance->name, parameter.name);
  LLMD_TRY(const Known found, lookup(known, wanted, place));
  if (found.spec->kind == *parameter.refers) return {};
  return invalid(fmt::format("{} is \"{}\", {}; expected {}", place, wanted, a_plugin_kind(found.spec->kind),
                             a_plugin_kind(*parameter.refers)));
}

Result<void> use_weight_learner(BuiltScheduler& built, const PluginInstance& instance,
                                const ParameterReader& parameters) {
  const std::string wanted = parameters.text("profile");
  const Profile* profile = wanted.empty() ? built.stages.decode : find_profile(built, wanted);
  if (profile == nullptr) {
    return invalid(fmt::format("{}: there is no profile \"{}\"", instance.name, wanted),
                   "name the scheduling profile whose weights it learns");
  }
  if (built.learning) {
    return invalid(fmt::format("a second weight-learner is configured, \"{}\"", instance.name), "keep one");
  }
  const std::size_t scorers = profile->scorers().size();
  if (scorers < 2 || scorers > kLearnedScorersMax) {
    return invalid(fmt::format("{}: profile \"{}\" has {} scorers; expected 2 to {}", instance.name, profile->name(),
                               scorers, kLearnedScorersMax));
  }
  WeightLearner::Subject subject{
      .learner = instance.name, .profile = profile->name(), .scorers = {}, .bound = parameters.real("boundFactor")};
  for (const Profile::WeightedScorer& each : profile->scorers()) subject.scorers.push_back({each.name, each.weight});
  built.learning = {profile, std::move(subject), WeightLearnerPlugin::read(parameters)};
  return {};
}

Result<void> use_producers(BuiltScheduler& built, const KnownPlugins& known) {
  for (const auto& [name, plugin] : known) {
    for (const ParameterSpec& parameter : plugin.spec->parameters)
      LLMD_TRY_VOID(check_reference(known, plugin, parameter));
    const ParameterReader parameters{plugin.spec->parameters, plugin.instance->parameters};
    if (plugin.spec == &MmEmbeddingsCacheProducer::kSpec) {
      built.media = MmEmbeddingsCacheProducer::read(parameters);
      built.timed_places.media = timed_place(built, kDataProducerPoint, *plugin.instance);
    }
    if (plugin.spec == &TokenProducer::kSpec || plugin.spec == &TokenProducer::kOldSpec)
      built.media_estimate = TokenProducer::read(parameters);
    if (plugin.spec == &WeightLearnerPlugin::kSpec) {
      LLMD_TRY_VOID(use_weight_learner(built, *plugin.instance, parameters));
    }
    if (plugin.spec == &P2pSourceProducer::kSpec) built.kv_source = P2pSourceProducer::read(parameters);
    if (plugin.spec == &PredictedLatencyProducer::kSpec) {
      built.predicts = true;
      built.timed_places.predictor = timed_place(built, kDataProducerPoint, *plugin.instance);
      built.hands_out_predictions = built.hands_out_predictions || parameters.flag("predictInProduce");
    }
    if (plugin.spec == &ExpectedLatencyScorer::kSpec || plugin.spec == &ExpectedLatencyPdDecider::kSpec)
      built.predicts = built.hands_out_predictions = true;
    if (plugin.spec == &InflightLoadProducer::kSpec) built.inflight = InflightLoadProducer::read(parameters);
    if (plugin.spec != &ApproxPrefixCacheProducer::kSpec &&
        plugin.spec != &ApproxPrefixCacheProducer::kMulticlusterSpec)
      continue;
    if (built.reads_prefixes) {
      return invalid(fmt::format("a second producer of prefix matches is configured, \"{}\"", name), "keep one");
    }
    built.reads_prefixes = true;
    built.prefix = ApproxPrefixCacheProducer::read(parameters);
    built.timed_places.prefix = timed_place(built, kDataProducerPoint, *plugin.instance);
  }
  if (built.predicts && built.timed_places.predictor == Profile::kNone) {
    const std::string type{PredictedLatencyProducer::kSpec.type};  // as llm-d, which adds one where it is needed
    built.timed_places.predictor = timed_place(built, kDataProducerPoint, {.name = type, .type = type});
  }
  return {};
}

}  // namespace

Result<BuiltScheduler> build_scheduler(SchedulingConfig config) {
  BuiltScheduler built;
  built.config = std::move(config);
  apply_defaults(built.config);
  LLMD_TRY(const KnownPlugins known, make_plugins(built.config, built.plugins));
  built.identity = std::make_shared<const int>(0);
  for (std::size_t i = 0; i < Profile::kBuiltIns; ++i) {
    const std::string name{Profile::built_in_name(static_cast<Profile::BuiltIn>(i))};
    built.timed.push_back({kFilterPoint, name, name});
  }
  list_objects(built);
  LLMD_TRY_VOID(make_profiles(built, known));
  LLMD_TRY_VOID(use_handler(built, known));
  LLMD_TRY_VOID(use_producers(built, known));
  return built;
}

}  // namespace llmd::scheduling
