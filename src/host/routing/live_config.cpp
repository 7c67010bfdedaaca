#include "routing/live_config.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "api/openai/json_writer.h"
#include "config/effective_yaml.h"
#include "config/read_file.h"
#include "scheduling/scheduler.h"
#include "telemetry/log.h"

namespace llmd::routing {
namespace {

constexpr std::size_t kConfigBytesMax = 1024 * 1024;
constexpr std::string_view kBuiltIn = "built-in configuration";

Result<LoadedConfig> check_text(std::string text, std::string_view name, const ConfigSource& source,
                                bool allow_experimental) {
  LLMD_TRY(config::EndpointPickerConfig parsed,
           config::parse_endpoint_picker_config(text, name, {.allow_experimental = allow_experimental}));
  LLMD_TRY_VOID(config::check_supported(parsed));
  parsed.scheduling.checks_models = source.checks_models;
  for (const std::string& warning : parsed.warnings) log::warn("{}", warning);
  config::ConfigVersion version{.source = std::string{name},
                                .text = std::move(text),
                                .effective = config::effective_yaml(parsed),
                                .since = std::chrono::system_clock::now()};
  return LoadedConfig{std::move(parsed), std::move(version)};
}

Counter& reloads(MetricsRegistry& metrics, const char* outcome) {
  return metrics.counter("llmd_config_reloads_total", "Configurations that were read anew, by what became of them",
                         {{"outcome", outcome}});
}

void write_head(const config::ConfigVersion& version, openai::JsonWriter& writer) {
  const auto since = std::chrono::time_point_cast<std::chrono::seconds>(version.since);
  writer.key("version").integer(static_cast<std::int64_t>(version.number));
  writer.key("source").string(version.source);
  writer.key("since").string(
      fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(since))));
}

}  // namespace

std::pair<std::filesystem::file_time_type, std::uintmax_t> stamp_of(const std::string& path) {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(path, error);
  const auto size = std::filesystem::file_size(path, error);
  return {time, size};
}

Result<LoadedConfig> load_config(const ConfigSource& source) {
  if (source.path.empty()) return check_text(source.fallback, kBuiltIn, source, true);
  LLMD_TRY(std::string text, config::read_file(source.path, kConfigBytesMax));
  return check_text(std::move(text), source.path, source, source.allow_experimental);
}

Result<FlowParts> flow_parts(const config::EndpointPickerConfig& config, const ConfigSource& source) {
  auto parts = make_flow_parts(config.flow, config.scheduling);
  if (parts && source.path.empty() && !source.sheds) parts->sheds = false;
  return parts;
}

std::string discovery_file(const config::EndpointPickerConfig& config) {
  const auto& plugins = config.scheduling.others;
  const auto found = std::ranges::find(plugins, config.data_layer.discovery, &scheduling::PluginInstance::name);
  if (config.data_layer.discovery.empty() || found == plugins.end()) return {};
  const scheduling::ParameterValue* path = found->parameters.find("path");
  return path == nullptr ? std::string{} : std::get<std::string>(*path);
}

LiveConfig::LiveConfig(ConfigSource source, LoadedConfig first, Router& router, FlowStrand& flow,
                       scheduling::PluginLibraries& libraries, MetricsRegistry& metrics)
    : source_{std::move(source)},
      data_layer_{first.config.data_layer},
      discovery_file_{discovery_file(first.config)},
      router_{router},
      flow_{flow},
      libraries_{libraries},
      stamp_{stamp_of(source_.path)},
      version_{metrics.gauge("llmd_config_version", "Number of the configuration in force")},
      applied_{reloads(metrics, "applied")},
      refused_{reloads(metrics, "refused")} {
  version_.set(static_cast<double>(versions_.add(std::move(first.version))));
  config_ = std::make_shared<const config::EndpointPickerConfig>(std::move(first.config));
}

std::shared_ptr<const config::EndpointPickerConfig> LiveConfig::config() const {
  const std::scoped_lock lock{mutex_};
  return config_;
}

void LiveConfig::look() {
  if (source_.path.empty()) return;
  if (const Stamp now = stamp_of(source_.path); now != std::exchange(stamp_, now)) reload();
}

void LiveConfig::reload() {
  if (source_.path.empty()) {
    log::info("there is no configuration file to read again");
    return;
  }
  stamp_ = stamp_of(source_.path);
  put_or_refuse(load_config(source_));
}

void LiveConfig::replace(ConfigSource source, LoadedConfig loaded) {
  source_ = std::move(source);
  stamp_ = stamp_of(source_.path);
  put_or_refuse(std::move(loaded));
}

void LiveConfig::put_or_refuse(Result<LoadedConfig> loaded) {
  if (loaded && loaded->version.text == versions_.current().text) return;
  const auto number = loaded ? put(*std::move(loaded)) : std::unexpected(std::move(loaded).error());
  if (number) {
    log::info("{} is in force as version {}", versions_.current().source, *number);
  } else {
    refused_.add();
    log::error("the configuration stays as it was: {}", number.error().to_string());
  }
}

namespace {

bool same_sources(const config::DataLayerConfig& a, const config::DataLayerConfig& b) {
  return a.metrics == b.metrics && a.models == b.models && a.extractor == b.extractor && a.exporters == b.exporters;
}

}  // namespace

Result<std::uint64_t> LiveConfig::put(LoadedConfig loaded) {
  LLMD_TRY(FlowParts flow, flow_parts(loaded.config, source_));
  auto config = std::make_shared<const config::EndpointPickerConfig>(loaded.config);
  loaded.config.scheduling.libraries = &libraries_;
  LLMD_TRY(scheduling::Scheduler scheduler, scheduling::Scheduler::make(std::move(loaded.config.scheduling)));
  if (scheduler.prefix_options().endpoint_blocks_max != router_.scheduler()->prefix_options().endpoint_blocks_max)
    log::warn("lruCapacityPerServer has changed: it counts from the next start");
  if (!same_sources(loaded.config.data_layer, data_layer_))
    log::warn("the sources of dataLayer have changed: they count from the next start");
  if (discovery_file(*config) != discovery_file_)
    log::warn("the file of dataLayer.discovery is another: it counts from the next start");
  // Two steps: a request between them waits by the old rules and is decided by the new ones. Both are checked already.
  router_.set_scheduler(std::move(scheduler));
  flow_.set_parts(std::move(flow));
  {
    const std::scoped_lock lock{mutex_};
    config_ = std::move(config);
  }
  const std::uint64_t number = versions_.add(std::move(loaded.version));
  version_.set(static_cast<double>(number));
  applied_.add();
  return number;
}

Result<std::uint64_t> LiveConfig::roll_back(std::uint64_t number) {
  const auto old = versions_.find(number);
  if (!old) {
    return fail(ErrorCode::kNotFound, fmt::format("there is no version {}", number),
                "llmd config show --versions lists those that are kept");
  }
  LLMD_TRY(LoadedConfig loaded, check_text(old->text, old->source, source_, true));
  loaded.version.source = fmt::format("rollback to version {}", number);
  LLMD_TRY(const std::uint64_t made, put(std::move(loaded)));
  log::info("version {} is in force again, as version {}", number, made);
  return made;
}

std::string LiveConfig::versions_json() const {
  std::string json;
  openai::JsonWriter writer{json};
  writer.begin_object().key("versions").begin_array();
  for (const config::ConfigVersion& version : versions_.list()) {
    writer.begin_object();
    write_head(version, writer);
    writer.end_object();
  }
  writer.end_array().end_object();
  return json;
}

std::optional<std::string> LiveConfig::version_json(std::uint64_t number) const {
  const auto version = number == 0 ? std::optional{versions_.current()} : versions_.find(number);
  if (!version) return std::nullopt;
  std::string json;
  openai::JsonWriter writer{json};
  writer.begin_object();
  write_head(*version, writer);
  writer.key("text").string(version->text);
  writer.key("effective").string(version->effective);
  writer.end_object();
  return json;
}

}  // namespace llmd::routing
