#include "simulation/policies/make_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;

TEST(MakePolicy, KnowsNoOtherNames) {
  EXPECT_EQ(make_policy("", 0), nullptr);
  EXPECT_EQ(make_policy("llm-d", 0), nullptr);
  EXPECT_EQ(policy_names().size(), 12U);
}

class EveryPolicy : public ::testing::TestWithParam<std::string_view> {};

TEST_P(EveryPolicy, SkipsEndpointsThatAreDownOrDrain) {
  const auto policy = make_policy(GetParam(), 7);
  ASSERT_NE(policy, nullptr);
  Scene scene{4};
  scene.prompt({1, 2, 3}).loads({0, 0, 9, 0});
  for (std::uint32_t i = 0; i < 50; ++i) scene.send(*policy);  // what it learned of them must not win
  scene.health(0, EndpointHealth::kDown).health(1, EndpointHealth::kDraining).health(3, EndpointHealth::kDown);
  ++scene.snapshot.version;
  for (std::uint32_t i = 0; i < 50; ++i) {
    scene.session = i;
    EXPECT_EQ(scene.send(*policy), 2U);
  }
}

TEST_P(EveryPolicy, ChoosesNobodyWhenNobodyTakesRequests) {
  const auto policy = make_policy(GetParam(), 7);
  Scene none{0};
  EXPECT_EQ(none.send(*policy), kNoEndpoint);
  const auto other = make_policy(GetParam(), 7);
  Scene down{2};
  down.health(0, EndpointHealth::kDown).health(1, EndpointHealth::kDraining);
  EXPECT_EQ(down.send(*other), kNoEndpoint);
}

TEST_P(EveryPolicy, MakesTheSameChoicesFromTheSameSeeds) {
  const auto choices = [] {
    const auto policy = make_policy(GetParam(), 7);
    Scene scene{16};
    std::vector<std::uint32_t> result;
    for (std::uint32_t i = 0; i < 500; ++i) {
      scene.session = i % 40;
      scene.prompt({1, 100 + i % 40, 1'000 + i});
      result.push_back(scene.send(*policy));
      ++scene.live[result.back()].requests;
      scene.now += milliseconds{5};
    }
    return result;
  };
  EXPECT_EQ(choices(), choices());
}

TEST_P(EveryPolicy, FollowsAFleetThatGrows) {
  const auto policy = make_policy(GetParam(), 7);
  Scene scene{1};
  scene.prompt({1});
  EXPECT_EQ(scene.send(*policy), 0U);
  scene.snapshot.endpoints.push_back(Scene::make(1));
  scene.live.emplace_back();
  ++scene.snapshot.version;
  scene.health(0, EndpointHealth::kDown);
  EXPECT_EQ(scene.send(*policy), 1U);
}

std::string test_name(const ::testing::TestParamInfo<std::string_view>& info) {
  std::string name{info.param};
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Names, EveryPolicy, ::testing::ValuesIn(policy_names().begin(), policy_names().end()),
                         test_name);

}  // namespace
}  // namespace llmd::simulation
