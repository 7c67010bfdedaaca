#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "config/config_versions.h"
#include "config/endpoint_picker_config.h"
#include "routing/flow_strand.h"
#include "routing/router.h"
#include "scheduling/shared_library_plugin.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

/// Where a service's configuration comes from.
struct ConfigSource {
  std::string path{};      // of the file; empty: `fallback`
  std::string fallback{};  // used without a file
  bool allow_experimental = false;
  bool checks_models = true;  // SchedulingConfig::checks_models
  bool sheds = false;         // also without a file: requests of negative priority, while the endpoints are full
};

/// What flow control goes by under a configuration from there. Without a file nothing is shed: the workers' queues
/// decide. Error kConfigInvalid.
[[nodiscard]] Result<FlowParts> flow_parts(const config::EndpointPickerConfig& config, const ConfigSource& source);

/// A configuration that a server may run.
struct LoadedConfig {
  config::EndpointPickerConfig config;
  config::ConfigVersion version;  // without a number
};

/// Reads and checks it; warnings go to the log. Errors as config::load_endpoint_picker_config, and kConfigInvalid for
/// what this version does not support.
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSource& source);

/// The endpoint file that the configuration's discovery names; empty: none.
[[nodiscard]] std::string discovery_file(const config::EndpointPickerConfig& config);

/// The configuration in force, its file, and those before it. A new one is checked whole and then swapped in, first for
/// decisions, then for flow control, each between two of them; what was seen of the endpoints stays. A bad one changes
/// nothing but a log line and a metric. On one loop; the versions may be read from any.
class LiveConfig {
 public:
  /// `router`, `flow`, `libraries` and `metrics` must outlive it. `first` is in force already.
  LiveConfig(ConfigSource source, LoadedConfig first, Router& router, FlowStrand& flow,
             scheduling::PluginLibraries& libraries, MetricsRegistry& metrics);

  /// Reads the file again; nothing happens without one, or if its text is the one in force.
  void reload();
  /// Another source, checked already: as reload() of it. Its file is looked at from now on.
  void replace(ConfigSource source, LoadedConfig loaded);
  /// reload() if the file was written or replaced since the last look.
  void look();
  /// Puts an older version in force; the number of the version that this makes. The file counts again when it changes.
  /// Errors: kNotFound (never was, or is forgotten), kConfigInvalid.
  [[nodiscard]] Result<std::uint64_t> roll_back(std::uint64_t number);

  /// What is in force, for those that do more with it than deciding. Any thread.
  [[nodiscard]] std::shared_ptr<const config::EndpointPickerConfig> config() const;
  [[nodiscard]] const config::ConfigVersions& versions() const noexcept { return versions_; }
  [[nodiscard]] std::string versions_json() const;
  [[nodiscard]] std::optional<std::string> version_json(std::uint64_t number) const;

 private:
  using Stamp = std::pair<std::filesystem::file_time_type, std::uintmax_t>;
  [[nodiscard]] Result<std::uint64_t> put(LoadedConfig loaded);
  void put_or_refuse(Result<LoadedConfig> loaded);

  ConfigSource source_;
  const config::DataLayerConfig data_layer_;  // that the sources are of: the first one's
  const std::string discovery_file_;          // the same
  Router& router_;
  FlowStrand& flow_;
  scheduling::PluginLibraries& libraries_;
  config::ConfigVersions versions_;
  mutable std::mutex mutex_;
  std::shared_ptr<const config::EndpointPickerConfig> config_;  // under mutex_
  Stamp stamp_;
  Gauge& version_;
  Counter& applied_;
  Counter& refused_;
};

/// What tells whether a file was replaced or written.
[[nodiscard]] std::pair<std::filesystem::file_time_type, std::uintmax_t> stamp_of(const std::string& path);

}  // namespace llmd::routing
