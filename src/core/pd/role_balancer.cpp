#include "pd/role_balancer.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace llmd::pd {

RoleView role_view(const EndpointState& state, std::uint32_t in_flight) {
  const auto label = [&](std::string_view name) {
    const auto found = state.endpoint->labels.find(std::string{name});
    return found == state.endpoint->labels.end() ? std::string_view{} : std::string_view{found->second};
  };
  const std::string_view role = label(kRoleLabel);
  RoleView view{.endpoint = state.endpoint->name, .in_flight = in_flight};
  if (role == role_name(EndpointRole::kPrefill)) view.role = EndpointRole::kPrefill;
  if (role == role_name(EndpointRole::kDecode)) view.role = EndpointRole::kDecode;
  view.may_change = view.role != EndpointRole::kUnified && state.health == EndpointHealth::kReady &&
                    label(kRoleMayChangeLabel) == "true";
  return view;
}

double RoleBalancer::left(const Mean& mean, TimePoint now) const noexcept {
  const double idle = std::max(0.0, std::chrono::duration<double>(now - mean.at).count());
  return std::exp2(-idle / std::chrono::duration<double>(options_.half_life).count());
}

void RoleBalancer::add(Mean& mean, double value, TimePoint now) noexcept {
  if (!std::isfinite(value) || value <= 0) return;
  const double keep = left(mean, now);
  mean.sum = mean.sum * keep + value;
  mean.weight = mean.weight * keep + 1;
  mean.at = now;
}

double RoleBalancer::value(const Mean& mean, TimePoint now) const noexcept {
  return mean.weight * left(mean, now) < options_.observations_min ? 0.0 : mean.sum / mean.weight;
}

void RoleBalancer::on_sent(const LegTimes& times, TimePoint now) noexcept {
  add(prefill_, static_cast<double>(times.prefill), now);
  add(first_token_, static_cast<double>(times.first_token), now);
  add(token_, static_cast<double>(times.token), now);
}

RoleBalancer::Pressure RoleBalancer::pressure(TimePoint now) const noexcept {
  return {.prefill = value(prefill_, now), .decode = std::max(value(first_token_, now), value(token_, now))};
}

std::optional<EndpointRole> RoleBalancer::in_need(TimePoint now) const noexcept {
  const Pressure pressed = pressure(now);
  const auto needs = [this](double one, double other) {
    return one >= options_.pressure_min && one >= options_.ratio_min * other;
  };
  if (needs(pressed.prefill, pressed.decode)) return EndpointRole::kPrefill;
  if (needs(pressed.decode, pressed.prefill)) return EndpointRole::kDecode;
  return std::nullopt;
}

std::optional<RoleChange> RoleBalancer::go_on(std::span<const RoleView> endpoints, TimePoint now) {
  const auto found = std::ranges::find(endpoints, std::string_view{changing_->endpoint}, &RoleView::endpoint);
  const bool gone = found == endpoints.end();
  if (!gone && found->in_flight > 0 && now - changing_->since < options_.drain_max) return std::nullopt;
  RoleChange done{.endpoint = std::move(changing_->endpoint), .role = changing_->to};
  changing_.reset();
  changed_at_ = now;
  needed_.reset();
  if (gone) return std::nullopt;
  ++changes_;
  return done;
}

std::optional<RoleChange> RoleBalancer::tick(std::span<const RoleView> endpoints, TimePoint now) {
  if (changing_) return go_on(endpoints, now);
  const std::optional<EndpointRole> need = in_need(now);
  if (need != needed_) {
    needed_ = need;
    needed_since_ = now;
  }
  if (!need || now - needed_since_ < options_.hold) return std::nullopt;
  if (changed_at_ && now - *changed_at_ < options_.pause) return std::nullopt;
  const EndpointRole giving = *need == EndpointRole::kPrefill ? EndpointRole::kDecode : EndpointRole::kPrefill;
  const RoleView* least = nullptr;
  std::uint32_t givers = 0;
  for (const RoleView& view : endpoints) {
    if (view.role != giving || !view.may_change) continue;
    ++givers;
    if (least == nullptr || view.in_flight < least->in_flight) least = &view;
  }
  if (givers < 2) return std::nullopt;
  changing_ = {.endpoint = std::string{least->endpoint}, .to = *need, .since = now};
  return RoleChange{.endpoint = changing_->endpoint, .role = std::nullopt};
}

}  // namespace llmd::pd
