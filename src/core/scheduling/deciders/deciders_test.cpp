#include <gtest/gtest.h>

#include <string>

#include "scheduling/deciders/always_disagg_multimodal_decider.h"
#include "scheduling/deciders/always_disagg_pd_decider.h"
#include "scheduling/deciders/prefix_based_pd_decider.h"

namespace llmd::scheduling {
namespace {

TEST(PrefixBasedPdDecider, DisaggregatesWhenEnoughIsNotCached) {
  const struct {
    std::string name;
    PrefixBasedPdDecider::Options options;
    StageFacts facts;
    StageDecision expected;
  } cases[] = {
      {"zero means never", {0, 0}, {1'000, 0}, {StageRoute::kSkip, "never", 1'000, 0}},
      {"all uncached", {64, 0}, {1'000, 0}, {StageRoute::kRun, "long-uncached-part", 1'000, 64}},
      {"exactly the limit", {64, 0}, {164, 100}, {StageRoute::kRun, "long-uncached-part", 64, 64}},
      {"one below it", {64, 0}, {163, 100}, {StageRoute::kSkip, "short-uncached-part", 63, 64}},
      {"more cached than prompt", {64, 0}, {100, 128}, {StageRoute::kSkip, "short-uncached-part", 0, 64}},
      {"prompt below its own limit", {64, 500}, {400, 0}, {StageRoute::kSkip, "short-prompt", 400, 500}},
      {"prompt at its own limit", {64, 500}, {500, 0}, {StageRoute::kRun, "long-uncached-part", 500, 64}},
  };
  for (const auto& c : cases) {
    const StageDecision decision = PrefixBasedPdDecider{c.options}.decide(c.facts);
    EXPECT_EQ(decision.route, c.expected.route) << c.name;
    EXPECT_EQ(decision.rule, c.expected.rule) << c.name;
    EXPECT_EQ(decision.observed, c.expected.observed) << c.name;
    EXPECT_EQ(decision.limit, c.expected.limit) << c.name;
  }
}

TEST(AlwaysDisaggMultimodalDecider, WantsALegForMediaOnly) {
  const StageDecision none = AlwaysDisaggMultimodalDecider{}.decide({.prompt_tokens = 1'000});
  EXPECT_EQ(none.route, StageRoute::kSkip);
  EXPECT_EQ(none.rule, "no-media");
  const StageDecision two = AlwaysDisaggMultimodalDecider{}.decide({.media_items = 2});
  EXPECT_EQ(two.route, StageRoute::kRun);
  EXPECT_EQ(two.rule, "media");
  EXPECT_EQ(two.observed, 2U);
}

TEST(AlwaysDisaggPdDecider, DisaggregatesEvenAnEmptyPrompt) {
  EXPECT_EQ(AlwaysDisaggPdDecider{}.decide({}).route, StageRoute::kRun);
}

}  // namespace
}  // namespace llmd::scheduling
