#include "dispatch/spoken_apis.h"

#include <algorithm>
#include <array>

namespace llmd::dispatch {
namespace {

/// In an operator's list, blanks around the commas do not count.
bool lists(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == name) return true;
  }
  return false;
}

/// Engines that have had both APIs for long enough to be asked first.
bool is_of_engine(std::string_view engine, api::Dialect dialect) {
  constexpr std::array<std::string_view, 5> kBoth{"llmd", "vllm", "sglang", "llama-server", "ollama"};
  if (engine == "trtllm-serve") return dialect == api::Dialect::kResponses;
  return std::find(kBoth.begin(), kBoth.end(), engine) != kBoth.end();
}

/// What no other engine lists with its models.
bool is_own_worker(const Endpoint& endpoint) {
  return !endpoint.models.empty() && endpoint.models.front().block_fingerprint.has_value();
}

}  // namespace

bool SpokenApis::speaks(const Endpoint& endpoint, std::string_view engine, api::Dialect dialect) const {
  if (dialect == api::Dialect::kOpenAi) return true;
  const auto label = endpoint.labels.find(std::string{kNativeApisLabel});
  if (label != endpoint.labels.end()) return lists(label->second, api::api_name(dialect));
  if (!is_own_worker(endpoint) && !is_of_engine(engine, dialect)) return false;
  return !lacking_.contains({endpoint.name, dialect});
}

void SpokenApis::lacks(const Endpoint& endpoint, api::Dialect dialect) {
  if (lacking_.size() >= kRememberedMax) lacking_.clear();
  lacking_.emplace(endpoint.name, dialect);
}

}  // namespace llmd::dispatch
