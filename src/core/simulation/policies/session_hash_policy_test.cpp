#include "simulation/policies/session_hash_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;

std::vector<std::uint32_t> homes(Policy& policy, Scene& scene, std::uint32_t sessions) {
  std::vector<std::uint32_t> result;
  for (scene.session = 1; scene.session <= sessions; ++scene.session) result.push_back(scene.choose(policy));
  return result;
}

TEST(SessionHashPolicy, KeepsASessionAtItsEndpoint) {
  SessionHashPolicy policy{{}};
  Scene scene{10};
  EXPECT_EQ(homes(policy, scene, 200), homes(policy, scene, 200));
}

TEST(SessionHashPolicy, HashesTheRequestIdWithoutASession) {
  SessionHashPolicy policy{{}};
  Scene scene{10};
  std::vector<std::uint32_t> chosen(10);
  for (int i = 0; i < 200; ++i) {
    ++scene.id;
    const std::uint32_t place = scene.choose(policy);
    EXPECT_EQ(scene.choose(policy), place);
    ++chosen[place];
  }
  for (const std::uint32_t count : chosen) EXPECT_GT(count, 0U);
}

TEST(SessionHashPolicy, MovesOnlyTheSessionsOfAnEndpointThatLeaves) {
  SessionHashPolicy policy{{}};
  Scene scene{10};
  const auto before = homes(policy, scene, 500);
  scene.health(3, EndpointHealth::kDown);
  const auto after = homes(policy, scene, 500);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 3) {
      EXPECT_NE(after[i], 3U);
    } else {
      EXPECT_EQ(after[i], before[i]) << "session " << i + 1;
    }
  }
}

TEST(SessionHashPolicy, MovesFewSessionsToAnEndpointThatComes) {
  SessionHashPolicy policy{{}};
  Scene scene{10};
  const auto before = homes(policy, scene, 1'000);
  scene.snapshot.endpoints.push_back(Scene::make(10));
  scene.live.emplace_back();
  ++scene.snapshot.version;
  const auto after = homes(policy, scene, 1'000);
  std::uint32_t moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (after[i] == before[i]) continue;
    EXPECT_EQ(after[i], 10U);
    ++moved;
  }
  EXPECT_NEAR(moved, 1'000 / 11, 60);
}

TEST(SessionHashPolicy, KeepsEveryLoadWithinItsBound) {
  SessionHashPolicy policy{{.load_factor = 1.25}};
  Scene scene{8};
  for (std::uint32_t sent = 0; sent < 1'000; ++sent) {
    scene.session = 1 + sent % 3;  // three sessions that all eight must share
    const std::uint32_t place = scene.choose(policy);
    ASSERT_NE(place, kNoEndpoint);
    ++scene.live[place].requests;
    ASSERT_LE(scene.live[place].requests, std::ceil(1.25 * (sent + 1) / 8));
  }
}

TEST(SessionHashPolicy, SendsTheOverflowToTheNextOnTheRing) {
  SessionHashPolicy policy{{}};
  Scene scene{4};
  scene.session = 5;
  const std::uint32_t home = scene.choose(policy);
  // Room for one each: ceil(1.25 * 2 / 4).
  scene.live[home].requests = 1;
  const std::uint32_t next = scene.choose(policy);
  EXPECT_NE(next, home);
  EXPECT_EQ(scene.choose(policy), next);
  scene.live[home].requests = 0;
  EXPECT_EQ(scene.choose(policy), home);
}

}  // namespace
}  // namespace llmd::simulation
