#include "simulation/role_changes.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "base/rng.h"
#include "simulation/fleet.h"
#include "simulation/policies/llmd_policy.h"
#include "simulation/summary.h"
#include "simulation/to_duration.h"
#include "simulation/workloads/block_chain.h"

namespace llmd::simulation {
namespace {

constexpr double kTurnsAtS = 300;
constexpr double kEndsAtS = 900;

/// Long prompts with short answers, or short prompts with long ones; at half time (of `turns`) the one becomes the
/// other.
class Mix final : public Workload {
 public:
  explicit Mix(bool turns) : turns_{turns} {}
  std::optional<SimRequest> next() override {
    const bool prompts = turns_ && at_s_ > kTurnsAtS;
    at_s_ += (prompts ? 0.1 : 0.02) * 2 * rng_.uniform();
    if (at_s_ > kEndsAtS) return std::nullopt;
    SimRequest request{.id = ++id_,
                       .arrival = to_duration(at_s_),
                       .prompt_tokens = prompts ? 6'016U : 192U,
                       .output_tokens = prompts ? 20U : 300U};
    for (std::uint32_t i = 0; i < request.prompt_tokens / block_tokens(); ++i)
      request.blocks.push_back(chain_block(request.blocks.empty() ? id_ : request.blocks.back(), i));
    return request;
  }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return 64; }

 private:
  bool turns_;
  double at_s_ = 0;
  std::uint64_t id_ = 0;
  Rng rng_{7};
};

std::unique_ptr<Policy> always_apart() {
  scheduling::SchedulingConfig config;
  for (const char* type : {"disagg-profile-handler", "prefill-filter", "decode-filter", "always-disagg-pd-decider",
                           "active-request-scorer", "max-score-picker", "predicted-latency-producer"})
    config.plugins.push_back({.type = type});
  config.plugins[0].parameters.set("deciders.prefill", std::string{"always-disagg-pd-decider"});
  config.profiles = {
      {.name = "prefill", .plugins = {{"prefill-filter"}, {"active-request-scorer"}, {"max-score-picker"}}},
      {.name = "decode", .plugins = {{"decode-filter"}, {"active-request-scorer"}, {"max-score-picker"}}}};
  auto made = LlmdPolicy::make(std::move(config), {});
  EXPECT_TRUE(made.has_value());
  return *std::move(made);
}

struct Seen {
  double goodput;
  std::uint64_t changes;
  std::size_t failed;
};

Seen play(bool turns, bool rebalances) {
  Mix workload{turns};
  const auto policy = always_apart();
  const FleetOptions options{.endpoints = 8, .prefill_endpoints = 2, .rebalance_roles = rebalances};
  const FleetResult result = run_fleet(options, workload, *policy);
  const auto failed = std::ranges::count_if(result.requests, &RequestResult::failed);
  return {summarise(result, {.ttft_ms = 2'000, .tpot_ms = 50}).goodput, result.role_changes,
          static_cast<std::size_t>(failed)};
}

TEST(RoleChanges, FollowTheMixOfWork) {
  const Seen fixed = play(/*turns=*/true, /*rebalances=*/false);
  const Seen changing = play(/*turns=*/true, /*rebalances=*/true);
  EXPECT_GE(changing.changes, 2U);
  EXPECT_EQ(changing.failed, 0U);
  EXPECT_GT(changing.goodput, fixed.goodput + 0.15);
}

TEST(RoleChanges, AMixThatFitsChangesNothing) {
  const Seen seen = play(/*turns=*/false, /*rebalances=*/true);
  EXPECT_EQ(seen.changes, 0U);
  EXPECT_EQ(seen.failed, 0U);
}

TEST(RoleChanges, EndpointsWithoutOneOfTheTwoRolesStay) {
  EndpointSnapshot snapshot;
  for (const char* name : {"a", "b", "c"}) {
    EndpointState state;
    state.endpoint = std::make_shared<const Endpoint>(
        Endpoint{.name = name,
                 .url = "http://x",
                 .labels = {{std::string{kRoleLabel}, "both"}, {std::string{pd::kRoleMayChangeLabel}, "true"}}});
    state.health = EndpointHealth::kReady;
    snapshot.endpoints.push_back(std::move(state));
  }
  RoleChanges roles;
  for (int n = 0; n < 100; ++n) {
    const TimePoint now{std::chrono::seconds{n}};
    for (int i = 0; i < 10; ++i) roles.on_sent({.prefill = 4, .token = 0.1F}, now);
    (void)roles.look(snapshot, [](std::size_t) { return 0U; }, now);
  }
  for (const EndpointState& state : snapshot.endpoints)
    EXPECT_EQ(state.endpoint->labels.at(std::string{kRoleLabel}), "both");
}

}  // namespace
}  // namespace llmd::simulation
