#include "routing/fairness_id.h"

#include <algorithm>

#include "base/utf8.h"
#include "flow/item.h"
#include "scheduling/header_name.h"

namespace llmd::routing {
namespace {

constexpr std::size_t kBytesMax = 256;
constexpr std::string_view kNames[] = {"x-llm-d-inference-fairness-id", "x-gateway-inference-fairness-id"};
// Those that agent-identity knows by itself, in its order.
constexpr std::string_view kSessionNames[] = {"x-claude-code-session-id", "x-session-affinity", "session-id",
                                              "session_id"};

std::string value_of(const HeaderReader& header, std::string_view name) {
  return well_formed_beginning(header(name).value_or(std::string_view{}), kBytesMax);
}

}  // namespace

std::vector<std::string> session_headers(const scheduling::SchedulingConfig& config) {
  const auto plugin = std::ranges::find(config.others, "agent-identity", &scheduling::PluginInstance::type);
  if (plugin == config.others.end()) return {};
  std::vector<std::string> names;
  if (const auto* more = plugin->parameters.find("additionalSessionHeaders")) {
    for (const std::string& name : std::get<scheduling::TextList>(*more))
      names.push_back(scheduling::header_name(name));
  }
  names.insert(names.end(), std::begin(kSessionNames), std::end(kSessionNames));
  return names;
}

std::string fairness_id_of(const HeaderReader& header, std::span<const std::string> session_headers) {
  for (const std::string_view name : kNames) {
    if (std::string found = value_of(header, name); !found.empty()) return found;
  }
  for (const std::string& name : session_headers) {
    if (std::string found = value_of(header, name); !found.empty()) return found;
  }
  return std::string{flow::kDefaultFairnessId};
}

std::string session_id_of(const HeaderReader& header) {
  if (std::string found = value_of(header, "x-session-id"); !found.empty()) return found;
  for (const std::string_view name : kSessionNames) {
    if (std::string found = value_of(header, name); !found.empty()) return found;
  }
  return {};
}

}  // namespace llmd::routing
