#include "apps/gateway/config.h"

#include "config/endpoint_picker_config.h"
#include "config/read_file.h"
#include "telemetry/log.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kConfigBytesMax = 1024 * 1024;

}  // namespace

Result<void> load_config(Setup& setup, std::string_view fallback) {
  const std::string& path = setup.options.config_path;
  setup.config_text = fallback;
  if (!path.empty()) {
    LLMD_TRY(setup.config_text, config::read_file(path, kConfigBytesMax));
  }
  LLMD_TRY(config::EndpointPickerConfig parsed,
           config::parse_endpoint_picker_config(setup.config_text, path.empty() ? "built-in configuration" : path));
  for (const std::string& warning : parsed.warnings) log::warn("{}", warning);
  setup.scheduling = std::move(parsed.scheduling);
  return {};
}

}  // namespace llmd::gateway
