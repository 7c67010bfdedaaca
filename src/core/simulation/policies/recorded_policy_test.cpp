#include "simulation/policies/recorded_policy.h"

#include <gtest/gtest.h>

#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;

TEST(RecordedPolicy, ChoosesWhatWasChosenWhateverTheLoad) {
  RecordedPolicy policy;
  Scene scene{4};
  scene.loads({0, 0, 9, 0}).recorded_endpoint = 2;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(scene.choose(policy), 2U);
}

TEST(RecordedPolicy, TakesTheFewestRequestsWhereTheRecordCannotBeFollowed) {
  RecordedPolicy policy;
  Scene scene{3};
  scene.loads({5, 1, 4}).recorded_endpoint = 2;
  scene.health(2, EndpointHealth::kDown);
  EXPECT_EQ(scene.choose(policy), 1U) << "the one of the record is down";
  scene.health(2, EndpointHealth::kReady).recorded_endpoint = 3;
  EXPECT_EQ(scene.choose(policy), 1U) << "the fleet is smaller than the recorded one";
  scene.recorded_endpoint = kNoEndpoint;
  EXPECT_EQ(scene.choose(policy), 1U) << "the record names none";
}

}  // namespace
}  // namespace llmd::simulation
