#include "pd/role_balancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmd::pd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Endpoints whose roles are changed as the balancer says.
struct Fleet {
  Fleet(std::size_t prefill, std::size_t decode) {
    for (std::size_t i = 0; i < prefill + decode; ++i) {
      names.push_back(std::string{"e"}.append(std::to_string(i)));
      roles.emplace_back(i < prefill ? EndpointRole::kPrefill : EndpointRole::kDecode);
    }
    in_flight.assign(names.size(), 0);
  }
  std::size_t count(EndpointRole role) const {
    return static_cast<std::size_t>(std::ranges::count(roles, std::optional{role}));
  }
  std::optional<RoleChange> tick() {
    std::vector<RoleView> views;
    for (std::size_t i = 0; i < names.size(); ++i) {
      views.push_back({.endpoint = names[i],
                       .role = roles[i].value_or(EndpointRole::kUnified),
                       .may_change = i != fixed,
                       .in_flight = in_flight[i]});
    }
    auto change = balancer.tick(views, now);
    if (change) roles[static_cast<std::size_t>(std::stoi(change->endpoint.substr(1)))] = change->role;
    return change;
  }
  /// Ten requests a second.
  void serve(seconds time, const LegTimes& times) {
    for (int n = 0; n < time.count() * 10; ++n) {
      now += milliseconds{100};
      balancer.on_sent(times, now);
      if (n % 10 == 9) (void)tick();
    }
  }

  std::vector<std::string> names;
  std::vector<std::optional<EndpointRole>> roles;
  std::vector<std::uint32_t> in_flight;
  std::size_t fixed = static_cast<std::size_t>(-1);
  TimePoint now{seconds{1'000}};
  RoleBalancer balancer{{}};
};

constexpr LegTimes kPromptsWait{.prefill = 1.5F, .first_token = 0.05F, .token = 0.3F};
constexpr LegTimes kTokensWait{.prefill = 0.1F, .first_token = 0.05F, .token = 1.2F};

TEST(RoleBalancer, ChangesNothingWhileNobodyIsInNeed) {
  Fleet fleet{2, 6};
  fleet.serve(seconds{300}, {.prefill = 0.4F, .first_token = 0.01F, .token = 0.1F});
  fleet.serve(seconds{300}, {.prefill = 1.5F, .first_token = 0.1F, .token = 1.2F});  // both are
  EXPECT_EQ(fleet.count(EndpointRole::kPrefill), 2U);
  EXPECT_EQ(fleet.balancer.changes(), 0U);
}

TEST(RoleBalancer, GivesTheRoleInNeedOneEndpointAfterAnother) {
  Fleet fleet{2, 6};
  fleet.serve(seconds{9}, kPromptsWait);
  EXPECT_EQ(fleet.count(EndpointRole::kDecode), 6U);  // not yet: it must last
  fleet.serve(seconds{6}, kPromptsWait);
  EXPECT_EQ(fleet.count(EndpointRole::kPrefill), 3U);
  fleet.serve(seconds{8}, kPromptsWait);
  EXPECT_EQ(fleet.count(EndpointRole::kPrefill), 3U);  // not yet again
  fleet.serve(seconds{10}, kPromptsWait);
  EXPECT_EQ(fleet.count(EndpointRole::kPrefill), 4U);
  fleet.serve(seconds{1'000}, kPromptsWait);
  EXPECT_EQ(fleet.count(EndpointRole::kDecode), 1U);  // one stays
}

TEST(RoleBalancer, AndTheOtherWayWhenTheMixTurns) {
  Fleet fleet{4, 4};
  fleet.serve(seconds{40}, kTokensWait);
  EXPECT_EQ(fleet.count(EndpointRole::kPrefill), 2U);
  fleet.serve(seconds{1'000}, kTokensWait);
  EXPECT_EQ(fleet.count(EndpointRole::kPrefill), 1U);
}

TEST(RoleBalancer, ASwingingMixDoesNotSwingTheRoles) {
  Fleet fleet{4, 4};
  for (int n = 0; n < 50; ++n) fleet.serve(seconds{8}, n % 2 == 0 ? kPromptsWait : kTokensWait);
  EXPECT_EQ(fleet.balancer.changes(), 0U);
}

TEST(RoleBalancer, TheLeastBusyGoesAndWhatItRunsEndsFirst) {
  Fleet fleet{2, 3};
  fleet.in_flight = {9, 9, 9, 4, 7};
  fleet.serve(seconds{15}, kPromptsWait);
  EXPECT_EQ(fleet.roles[3], std::nullopt);  // no new requests, and not yet a prefill endpoint
  fleet.serve(seconds{20}, kPromptsWait);
  EXPECT_EQ(fleet.roles[3], std::nullopt);
  fleet.in_flight[3] = 0;
  fleet.serve(seconds{1}, kPromptsWait);
  EXPECT_EQ(fleet.roles[3], EndpointRole::kPrefill);
  EXPECT_EQ(fleet.balancer.changes(), 1U);
}

TEST(RoleBalancer, AnAnswerWithoutEndHoldsAChangeUpForAWhileOnly) {
  Fleet fleet{2, 3};
  fleet.in_flight = {9, 9, 9, 4, 7};
  fleet.serve(seconds{80}, kPromptsWait);
  EXPECT_EQ(fleet.roles[3], EndpointRole::kPrefill);
}

TEST(RoleBalancer, OneThatLeavesMeanwhileIsForgotten) {
  Fleet fleet{2, 3};
  fleet.in_flight = {9, 9, 9, 4, 7};
  fleet.serve(seconds{12}, kPromptsWait);
  ASSERT_EQ(fleet.roles[3], std::nullopt);
  fleet.names[3].back() = '9';
  EXPECT_FALSE(fleet.tick().has_value());
  EXPECT_EQ(fleet.balancer.changes(), 0U);
}

TEST(RoleBalancer, EndpointsThatCannotChangeStay) {
  Fleet fleet{1, 2};
  fleet.fixed = 1;
  fleet.serve(seconds{300}, kPromptsWait);
  EXPECT_EQ(fleet.count(EndpointRole::kDecode), 2U);  // the other would be the last that can
}

TEST(RoleView, SaysWhoMayChange) {
  const auto view = [](std::map<std::string, std::string> labels, EndpointHealth health = EndpointHealth::kReady) {
    EndpointState state;
    state.endpoint = std::make_shared<const Endpoint>(Endpoint{.name = "a", .url = "x", .labels = std::move(labels)});
    state.health = health;
    return role_view(state, 3);
  };
  const std::string role{kRoleLabel};
  const std::string may_change{kRoleMayChangeLabel};
  EXPECT_TRUE(view({{role, "decode"}, {may_change, "true"}}).may_change);
  EXPECT_EQ(view({{role, "decode"}, {may_change, "true"}}).role, EndpointRole::kDecode);
  EXPECT_EQ(view({{role, "prefill"}}).role, EndpointRole::kPrefill);
  EXPECT_FALSE(view({{role, "prefill"}}).may_change);
  EXPECT_FALSE(view({{role, "prefill"}, {may_change, "no"}}).may_change);
  EXPECT_FALSE(view({{role, std::string{kNoRole}}, {may_change, "true"}}).may_change);
  EXPECT_FALSE(view({{role, "decode"}, {may_change, "true"}}, EndpointHealth::kDown).may_change);
  EXPECT_FALSE(view({{may_change, "true"}}).may_change);
}

TEST(ExpectedLegs, HoldTimesAgainstObjectives) {
  Decision decision;
  EXPECT_EQ(expected_legs(decision, {}, {}).token, 0);
  decision.latency = {.known = true, .ttft_ms = 1'000, .tpot_ms = 10};
  EXPECT_FLOAT_EQ(expected_legs(decision, {}, {}).first_token, 0.5F);
  EXPECT_FLOAT_EQ(expected_legs(decision, {}, {}).prefill, 0);
  decision.prefill = std::make_shared<const Endpoint>();
  decision.prefill_latency = {.known = true, .ttft_ms = 800};
  RequestFacts request;
  request.slo_ttft_ms = 400.0F;
  request.slo_tpot_ms = 20.0F;
  const LegTimes legs = expected_legs(decision, request, {});
  EXPECT_FLOAT_EQ(legs.prefill, 2);
  EXPECT_FLOAT_EQ(legs.first_token, 0.5F);
  EXPECT_FLOAT_EQ(legs.token, 0.5F);
  request.slo_ttft_ms = 0.001F;  // whoever hopes for that has one vote, too
  EXPECT_FLOAT_EQ(expected_legs(decision, request, {}).prefill, 16);
}

TEST(RoleBalancer, WhatIsLongAgoIsNoNeed) {
  Fleet fleet{2, 6};
  for (int n = 0; n < 5; ++n) fleet.balancer.on_sent(kPromptsWait, fleet.now);
  for (int n = 0; n < 600; ++n) {
    fleet.now += seconds{1};
    EXPECT_FALSE(fleet.tick().has_value());
  }
}

}  // namespace
}  // namespace llmd::pd
