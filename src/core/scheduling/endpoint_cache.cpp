#include "scheduling/endpoint_cache.h"

#include <algorithm>

#include "scheduling/plugin.h"

namespace llmd::scheduling {

void EndpointCache::update(std::span<const EndpointState> endpoints, std::span<const Plugin* const> plugins,
                           const std::shared_ptr<const int>& owner) {
  const bool same = owner == owner_ &&
                    std::equal(endpoints.begin(), endpoints.end(), endpoints_.begin(), endpoints_.end(),
                               [](const EndpointState& state, const auto& known) { return state.endpoint == known; });
  if (same) return;
  owner_ = owner;
  endpoints_.clear();
  fixed_.clear();
  models_.clear();
  untold_.clear();
  marked_ = nullptr;
  for (const EndpointState& state : endpoints) {
    const auto place = static_cast<std::uint32_t>(endpoints_.size());
    for (const ServedModel& model : state.endpoint->models) models_[model.id].push_back(place);
    if (state.endpoint->models.empty()) untold_.push_back(place);
    endpoints_.push_back(state.endpoint);
  }
  for (const Plugin* plugin : plugins) {
    for (const auto& endpoint : endpoints_) fixed_.push_back(plugin->fixed_value(*endpoint));
  }
}

std::span<const std::uint8_t> EndpointCache::serving(std::string_view model) {
  if (model.empty()) return {};
  const auto found = models_.find(model);
  const Members& members = found == models_.end() ? none_ : found->second;
  if (marked_ == &members) return marks_;
  marks_.assign(endpoints_.size(), 0);
  for (const std::uint32_t place : members) marks_[place] = 1;
  for (const std::uint32_t place : untold_) marks_[place] = 1;
  marked_ = &members;
  return marks_;
}

}  // namespace llmd::scheduling
