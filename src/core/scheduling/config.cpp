#include "scheduling/config.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {
namespace {

const PluginSpec* spec_of(const SchedulingConfig& config, std::string_view plugin) {
  for (const PluginInstance& each : config.plugins) {
    if (each.name == plugin) return find_plugin_spec(each.type);
  }
  return nullptr;
}

bool is_kind(const PluginSpec* spec, PluginKind kind) { return spec != nullptr && spec->kind == kind; }

bool has_kind(const SchedulingConfig& config, PluginKind kind) {
  return std::any_of(config.plugins.begin(), config.plugins.end(),
                     [&](const PluginInstance& each) { return is_kind(find_plugin_spec(each.type), kind); });
}

constexpr std::string_view kPrefixProducer = "approx-prefix-cache-producer";

bool has_type(const SchedulingConfig& config, std::string_view type) {
  return std::ranges::find(config.plugins, type, &PluginInstance::type) != config.plugins.end();
}

/// Whether any plugin needs to know what of a prompt the endpoints have cached.
bool reads_prefixes(const SchedulingConfig& config) {
  return std::ranges::any_of(config.plugins, [](const PluginInstance& each) {
    const PluginSpec* spec = find_plugin_spec(each.type);
    return spec != nullptr && spec->reads_prefixes;
  });
}

void add_plugin(SchedulingConfig& config, std::string type) {
  config.plugins.push_back({.name = type, .type = std::move(type)});
}

// What llm-d runs without any configuration.
void use_default_scorers(SchedulingConfig& config) {
  ProfileConfig profile{.name = "default"};
  const std::pair<std::string_view, double> scorers[] = {
      {"queue-scorer", 2}, {"kv-cache-utilization-scorer", 2}, {"prefix-cache-scorer", 3}};
  for (const auto& [type, weight] : scorers) {
    add_plugin(config, std::string{type});
    profile.plugins.push_back({.plugin = std::string{type}, .weight = weight});
  }
  config.profiles.push_back(std::move(profile));
}

ProfileConfig profile_of_everything(const SchedulingConfig& config) {
  ProfileConfig profile{.name = "default"};
  for (const PluginInstance& each : config.plugins) {
    const PluginSpec* spec = find_plugin_spec(each.type);
    if (is_kind(spec, PluginKind::kFilter) || is_kind(spec, PluginKind::kScorer) ||
        is_kind(spec, PluginKind::kPicker) || is_kind(spec, PluginKind::kSaturationDetector)) {
      profile.plugins.push_back({.plugin = each.name});
    }
  }
  return profile;
}

void add_missing_pickers(SchedulingConfig& config) {
  for (ProfileConfig& profile : config.profiles) {
    const bool picks = std::any_of(profile.plugins.begin(), profile.plugins.end(), [&](const PluginRef& ref) {
      return is_kind(spec_of(config, ref.plugin), PluginKind::kPicker);
    });
    if (picks) continue;
    if (!has_kind(config, PluginKind::kPicker)) add_plugin(config, "max-score-picker");
    const auto picker = std::find_if(config.plugins.begin(), config.plugins.end(), [](const PluginInstance& each) {
      return is_kind(find_plugin_spec(each.type), PluginKind::kPicker);
    });
    profile.plugins.push_back({.plugin = picker->name});
  }
}

}  // namespace

const ParameterValue* Parameters::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

void apply_defaults(SchedulingConfig& config) {
  for (PluginInstance& each : config.plugins) {
    if (each.name.empty()) each.name = each.type;
  }
  if (config.plugins.empty() && config.profiles.empty()) use_default_scorers(config);
  if (config.profiles.empty()) config.profiles.push_back(profile_of_everything(config));
  if (config.profiles.size() == 1 && !has_kind(config, PluginKind::kProfileHandler))
    add_plugin(config, "single-profile-handler");
  add_missing_pickers(config);
  if (reads_prefixes(config) && !has_type(config, kPrefixProducer)) add_plugin(config, std::string{kPrefixProducer});
}

}  // namespace llmd::scheduling
