#include "scheduling/endpoint_cache.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 4> kDecodeRoles{"decode", "prefill-decode", "both", "encode-prefill-decode"};
constexpr std::array<std::string_view, 5> kPrefillRoles{"prefill", "encode-prefill", "prefill-decode", "both",
                                                        "encode-prefill-decode"};

bool is_one_of(std::string_view role, std::span<const std::string_view> roles) {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

}  // namespace

std::span<const EndpointFacts> EndpointCache::update(std::span<const EndpointState> endpoints) {
  const bool same = std::equal(
      endpoints.begin(), endpoints.end(), facts_.begin(), facts_.end(),
      [](const EndpointState& state, const EndpointFacts& facts) { return state.endpoint == facts.endpoint; });
  if (same) return facts_;
  facts_.clear();
  models_.clear();
  untold_.clear();
  marked_ = nullptr;
  for (const EndpointState& state : endpoints) {
    const Endpoint& endpoint = *state.endpoint;
    const auto place = static_cast<std::uint32_t>(facts_.size());
    EndpointFacts facts{.endpoint = state.endpoint};
    for (const ServedModel& model : endpoint.models) models_[model.id].push_back(place);
    if (endpoint.models.empty()) untold_.push_back(place);
    const auto role = endpoint.labels.find(std::string{kRoleLabel});
    facts.may_decode = role == endpoint.labels.end() || is_one_of(role->second, kDecodeRoles);
    facts.may_prefill = role != endpoint.labels.end() && is_one_of(role->second, kPrefillRoles);
    facts_.push_back(std::move(facts));
  }
  return facts_;
}

std::span<const std::uint8_t> EndpointCache::serving(std::string_view model) {
  if (model.empty()) return {};
  const auto found = models_.find(model);
  const Members& members = found == models_.end() ? none_ : found->second;
  if (marked_ == &members) return marks_;
  marks_.assign(facts_.size(), 0);
  for (const std::uint32_t place : members) marks_[place] = 1;
  for (const std::uint32_t place : untold_) marks_[place] = 1;
  marked_ = &members;
  return marks_;
}

}  // namespace llmd::scheduling
