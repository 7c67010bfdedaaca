#include "scheduling/builder.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "scheduling/handlers/disagg_profile_handler.h"
#include "scheduling/handlers/single_profile_handler.h"
#include "scheduling/nearest_name.h"
#include "scheduling/producers/approx_prefix_cache_producer.h"

namespace llmd::scheduling {
namespace {

std::unexpected<Error> invalid(std::string what, std::string hint = {}) {
  return fail(ErrorCode::kConfigInvalid, std::move(what), std::move(hint));
}

/// A plugin of the configuration with its type, found by name.
struct Known {
  const PluginInstance* instance;
  const PluginSpec* spec;
  const AnyPlugin* plugin;
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
  for (const auto& [name, value] : instance.parameters.values()) LLMD_TRY_VOID(check_parameter(*spec, name, value));
  return spec;
}

Result<KnownPlugins> make_plugins(const SchedulingConfig& config, std::vector<AnyPlugin>& plugins) {
  KnownPlugins known;
  plugins.reserve(config.plugins.size());  // Known points into it
  for (const PluginInstance& instance : config.plugins) {
    LLMD_TRY(const PluginSpec* spec, checked_spec(instance));
    plugins.push_back(spec->make == nullptr ? AnyPlugin{} : spec->make(ParameterReader{*spec, instance.parameters}));
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

Result<std::unique_ptr<const Profile>> make_profile(const ProfileConfig& config, const KnownPlugins& known) {
  Profile::Parts parts{.name = config.name, .filters = {}, .scorers = {}, .picker = {}};
  const std::string place = fmt::format("profile \"{}\"", config.name);
  for (const PluginRef& ref : config.plugins) {
    LLMD_TRY(const Known plugin, lookup(known, ref.plugin, place));
    if (!std::isfinite(ref.weight))
      return invalid(fmt::format("{}: the weight of \"{}\" is not a finite number", place, ref.plugin));
    if (const auto* filter = std::get_if<std::unique_ptr<const Filter>>(plugin.plugin)) {
      parts.filters.push_back({ref.plugin, filter->get()});
    } else if (const auto* scorer = std::get_if<std::unique_ptr<const Scorer>>(plugin.plugin)) {
      parts.scorers.push_back({ref.plugin, scorer->get(), static_cast<float>(ref.weight)});
    } else if (const auto* picker = std::get_if<std::unique_ptr<const Picker>>(plugin.plugin)) {
      if (parts.picker.picker != nullptr) {
        return invalid(fmt::format("{} has two pickers, \"{}\" and \"{}\"", place, parts.picker.name, ref.plugin),
                       "keep one");
      }
      parts.picker = {ref.plugin, picker->get()};
    } else {
      return invalid(fmt::format("{} names \"{}\", a {}; expected a filter, scorer or picker", place, ref.plugin,
                                 plugin_kind_name(plugin.spec->kind)));
    }
  }
  return std::make_unique<const Profile>(std::move(parts));
}

Result<void> make_profiles(BuiltScheduler& built, const KnownPlugins& known) {
  std::set<std::string_view> names;
  for (const ProfileConfig& config : built.config.profiles) {
    if (config.name.empty()) return invalid("a scheduling profile has no name");
    if (!names.insert(config.name).second)
      return invalid(fmt::format("two scheduling profiles are named \"{}\"", config.name));
    LLMD_TRY(std::unique_ptr<const Profile> profile, make_profile(config, known));
    built.profiles.push_back(std::move(profile));
  }
  return {};
}

const Profile* find_profile(const BuiltScheduler& built, std::string_view name) {
  for (const auto& profile : built.profiles) {
    if (profile->name() == name) return profile.get();
  }
  return nullptr;
}

Result<void> use_disagg_handler(BuiltScheduler& built, const KnownPlugins& known, const DisaggProfileHandler& handler) {
  Stages& stages = built.stages;
  stages.prefill_first = handler.prefill_first;
  stages.decode = find_profile(built, handler.decode_profile);
  stages.prefill = find_profile(built, handler.prefill_profile);
  if (stages.decode == nullptr) {
    return invalid(fmt::format("disagg-profile-handler: there is no profile \"{}\" for decode", handler.decode_profile),
                   "add it, or name another in profiles.decode");
  }
  if (handler.prefill_decider.empty()) return {};
  if (stages.prefill_first) {
    return invalid(fmt::format("disagg-profile-handler: deciders.prefill is \"{}\" with stageOrder prefill-first",
                               handler.prefill_decider),
                   "prefill-first always prefills; drop the decider or use decode-first");
  }
  LLMD_TRY(const Known decider, lookup(known, handler.prefill_decider, "disagg-profile-handler: deciders.prefill"));
  const auto* plugin = std::get_if<std::unique_ptr<const PdDecider>>(decider.plugin);
  if (plugin == nullptr) {
    return invalid(fmt::format("disagg-profile-handler: deciders.prefill is \"{}\", a {}; expected a P/D decider",
                               handler.prefill_decider, plugin_kind_name(decider.spec->kind)));
  }
  if (stages.prefill == nullptr) {
    return invalid(fmt::format("disagg-profile-handler: there is no profile \"{}\" for prefill, but a decider",
                               handler.prefill_profile),
                   "add it, or name another in profiles.prefill");
  }
  stages.decider = plugin->get();
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
  if (handler->spec == &DisaggProfileHandler::kSpec) {
    return use_disagg_handler(built, known,
                              DisaggProfileHandler::read({*handler->spec, handler->instance->parameters}));
  }
  if (profiles != 1) {
    return invalid(fmt::format("single-profile-handler with {} scheduling profiles; expected 1", profiles),
                   "use disagg-profile-handler for prefill and decode");
  }
  built.stages.decode = built.profiles.front().get();
  return {};
}

Result<void> use_producers(BuiltScheduler& built, const KnownPlugins& known) {
  for (const auto& [name, plugin] : known) {
    const ParameterValue* producer = plugin.instance->parameters.find("prefixMatchInfoProducerName");
    if (producer != nullptr && !std::get<std::string>(*producer).empty()) {
      const std::string& wanted = std::get<std::string>(*producer);
      LLMD_TRY(const Known found, lookup(known, wanted, fmt::format("{}: prefixMatchInfoProducerName", name)));
      if (found.spec != &ApproxPrefixCacheProducer::kSpec) {
        return invalid(
            fmt::format("{}: prefixMatchInfoProducerName is \"{}\", a {}; expected an approx-prefix-cache-producer",
                        name, wanted, plugin_kind_name(found.spec->kind)));
      }
    }
    if (plugin.spec != &ApproxPrefixCacheProducer::kSpec) continue;
    if (built.reads_prefixes) return invalid("two approx-prefix-cache-producer plugins are configured", "keep one");
    built.reads_prefixes = true;
    built.prefix = ApproxPrefixCacheProducer::read({*plugin.spec, plugin.instance->parameters});
  }
  return {};
}

}  // namespace

Result<BuiltScheduler> build_scheduler(SchedulingConfig config) {
  BuiltScheduler built;
  built.config = std::move(config);
  apply_defaults(built.config);
  LLMD_TRY(const KnownPlugins known, make_plugins(built.config, built.plugins));
  LLMD_TRY_VOID(make_profiles(built, known));
  LLMD_TRY_VOID(use_handler(built, known));
  LLMD_TRY_VOID(use_producers(built, known));
  return built;
}

}  // namespace llmd::scheduling
