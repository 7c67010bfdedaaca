#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/data_layer_config.h"
#include "flow/config.h"
#include "reporting/attribute_reporter.h"
#include "scheduling/config.h"

namespace llmd::config {

/// Where data about endpoints comes from. What is listed is what `pool` does; the rest waits (Support).
struct DataLayerConfig {
  struct Source {
    std::string source{};  // a plugin's name
    std::vector<std::string> extractors{};
  };
  bool inject_defaults = true;  // metrics-data-source with core-metrics-extractor, unless it is listed
  std::vector<Source> sources{};
  std::string discovery{};  // a plugin's name; empty: --endpoints
  std::string peer_discovery{};
  std::string syncer{};
  std::chrono::milliseconds sync_interval{200};
  // What the sources come to.
  std::optional<PageSource> metrics{PageSource{.path = "/metrics"}};  // none: endpoints are not asked for metrics
  std::optional<PageSource> models{};                                 // none: at /v1/models, now and then
  CoreExtractorConfig extractor{};
  std::vector<ExporterSource> exporters{};
};

/// What is done with a request beside scheduling it: the plugins of `reporting`, made. For the endpoint picker; the
/// gateway has no proxy in front that it could tell.
struct RequestPluginsConfig {
  std::vector<reporting::AttributeReporter> reporters{};  // reporting::report() at the end of an answer
  bool shows_served_endpoint = false;                     // a response header has reporting::served_endpoint_report()
};

/// What a file of kind EndpointPickerConfig says, typed and checked, with llm-d's defaults filled in.
struct EndpointPickerConfig {
  scheduling::SchedulingConfig scheduling;
  flow::FlowConfig flow;
  DataLayerConfig data_layer;
  RequestPluginsConfig request_plugins;
  std::vector<std::string> parsers;   // plugin names; empty: llm-d's four
  std::vector<std::string> warnings;  // one line each, for the log
  std::vector<std::string> waits;     // what is known and valid, but not supported here: a server must not start
};

struct ConfigOptions {
  bool allow_experimental = false;  // alpha plugin types are not an error
};

/// Reads YAML or JSON, strictly: unknown fields, plugin types, parameters and references are errors with line, column
/// and the nearest known name. Both API groups are accepted; the older one warns. `source` names the text in errors.
/// Error kConfigInvalid. A config that is returned makes a Scheduler without error.
[[nodiscard]] Result<EndpointPickerConfig> parse_endpoint_picker_config(std::string_view text, std::string_view source,
                                                                        ConfigOptions options = {});

/// The same of a file of at most 1 MiB. Errors: kFileNotFound, kFileInvalid (a folder, too large, not readable),
/// kConfigInvalid.
[[nodiscard]] Result<EndpointPickerConfig> load_endpoint_picker_config(const std::filesystem::path& path,
                                                                       ConfigOptions options = {});

/// Error kConfigInvalid that names the first thing that waits; for servers.
[[nodiscard]] Result<void> check_supported(const EndpointPickerConfig& config);

}  // namespace llmd::config
