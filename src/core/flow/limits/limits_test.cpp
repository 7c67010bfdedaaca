#include <gtest/gtest.h>

#include <vector>

#include "flow/limits/priority_holdback.h"
#include "flow/limits/soft_reflective_ceiling.h"
#include "flow/limits/static_usage_limit.h"

namespace llmd::flow {
namespace {

using Ceilings = std::vector<float>;

Ceilings ceilings(UsageLimitPolicy& policy, float saturation, const std::vector<std::int32_t>& priorities) {
  Ceilings out(priorities.size(), -1.0F);
  policy.ceilings(saturation, priorities, out);
  return out;
}

TEST(StaticUsageLimit, IsOneCeilingForAll) {
  StaticUsageLimit policy{0.75F};
  EXPECT_EQ(ceilings(policy, 0.1F, {5, 0, -1}), (Ceilings{0.75F, 0.75F, 0.75F}));
}

TEST(PriorityHoldback, GoesFromHighestToLowestByRankOrValue) {
  PriorityHoldback rank{{.ceiling_min = 0.5F, .ceiling_max = 1}};
  EXPECT_EQ(ceilings(rank, 0, {100, 99, 0}), (Ceilings{1, 0.75F, 0.5F}));
  EXPECT_EQ(ceilings(rank, 0, {3}), Ceilings{1}) << "alone, it has nobody to hold back for";
  PriorityHoldback value{{.ceiling_min = 0, .ceiling_max = 1, .domain = PriorityHoldback::Domain::kValue}};
  EXPECT_EQ(ceilings(value, 0, {100, 75, 0}), (Ceilings{1, 0.75F, 0}));
}

TEST(SoftReflectiveCeiling, ClosesLowerBandsAsSaturationGrows) {
  SoftReflectiveCeiling policy;
  EXPECT_EQ(ceilings(policy, 0.4F, {2, 1, 0}), (Ceilings{1, 1, 1}));
  EXPECT_EQ(ceilings(policy, 1.0F, {2, 1, 0}), (Ceilings{1, 0, 0}));
  EXPECT_EQ(ceilings(policy, 2.0F, {2}), Ceilings{1});
}

TEST(SoftReflectiveCeiling, OpensAboveItsCeilingOneTimeInThePeriod) {
  SoftReflectiveCeiling policy;
  int open = 0;
  for (int i = 0; i < 400; ++i) {
    const Ceilings found = ceilings(policy, 0.8F, {2, 1, 0});  // period round(0.8 / 0.2) = 4
    EXPECT_EQ(found[1], found[2]) << "all at the same times";
    open += found[1] > 0 ? 1 : 0;
  }
  EXPECT_EQ(open, 100);
}

}  // namespace
}  // namespace llmd::flow
