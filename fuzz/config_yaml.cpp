// links: llmd_config llmd_scheduling
// Whatever the text, the parser ends with a config that makes a Scheduler, or with an error that names the source.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/endpoint_picker_config.h"
#include "scheduling/scheduler.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto config = llmd::config::parse_endpoint_picker_config(text, "fuzz.yaml");
  if (!config) {
    if (config.error().code != llmd::ErrorCode::kConfigInvalid || !config.error().what.starts_with("fuzz.yaml"))
      std::abort();
  } else if (!llmd::scheduling::Scheduler::make(config->scheduling).has_value()) {
    std::abort();
  }
  return 0;
}
