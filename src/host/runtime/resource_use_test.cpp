#include "runtime/resource_use.h"

#include <gtest/gtest.h>

namespace llmd {
namespace {

TEST(ResourceUse, TellsWhatWasUsedSinceTheSampleBefore) {
  ResourceUse use;
  const TimePoint start = SteadyClock::now();
  const ResourceUse::Shares first = use.sample(start);
  EXPECT_FALSE(first.cpu.has_value());
  ASSERT_TRUE(first.memory.has_value());
  EXPECT_GT(*first.memory, 0.0);
  EXPECT_LT(*first.memory, 1.0);
  volatile double sum = 0;
  while (SteadyClock::now() - start < milliseconds{50}) sum = sum + 1;
  const ResourceUse::Shares second = use.sample(SteadyClock::now());
  ASSERT_TRUE(second.cpu.has_value());
  EXPECT_GT(*second.cpu, 0.0);
  EXPECT_LE(*second.cpu, 1.0);
}

}  // namespace
}  // namespace llmd
