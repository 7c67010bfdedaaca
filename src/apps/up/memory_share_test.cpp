#include "apps/up/memory_share.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/testing/small_model.h"

namespace llmd::up {
namespace {

std::vector<ModelShare> two_models() {
  return {{.name = "a", .facts = engine::testkit::small_model(), .workers = 1},
          {.name = "b", .facts = engine::testkit::small_model(), .workers = 2}};
}

std::uint64_t total(const std::vector<engine::MemoryPlan>& plans, const std::vector<ModelShare>& models) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < plans.size(); ++i)
    sum += plans[i].need.shared_weights + plans[i].need.own() * models[i].workers;
  return sum;
}

TEST(ShareMemory, GivesEachModelWhatItTakesAloneWhereAllFit) {
  const auto models = two_models();
  const auto plans = share_memory(models, {}, 64'000 * kMiB);
  ASSERT_TRUE(plans) << plans.error().to_string();
  ASSERT_EQ(plans->size(), 2U);
  for (const engine::MemoryPlan& plan : *plans) {
    EXPECT_EQ(plan.need.store, engine::kStoreBytesDefault);
    EXPECT_FALSE(plan.shrunk);
  }
}

TEST(ShareMemory, DividesAMachineThatIsTooSmallForAll) {
  const auto models = two_models();
  const auto plans = share_memory(models, {}, 3'000 * kMiB);
  ASSERT_TRUE(plans) << plans.error().to_string();
  EXPECT_LE(total(*plans, models), 3'000 * kMiB);
  for (const engine::MemoryPlan& plan : *plans) EXPECT_TRUE(plan.shrunk);
}

TEST(ShareMemory, RefusesWithTheModelsNameAndTheNumbers) {
  const auto models = two_models();
  const auto plans = share_memory(models, {.kv_bytes = 2'000 * kMiB}, 3'000 * kMiB);
  ASSERT_FALSE(plans);
  EXPECT_EQ(plans.error().code, ErrorCode::kOutOfMemory);
  EXPECT_TRUE(plans.error().what.starts_with("b: ")) << plans.error().what;
  EXPECT_NE(plans.error().what.find("MiB"), std::string::npos) << plans.error().what;
}

}  // namespace
}  // namespace llmd::up
