#include "routing/why_not.h"

#include <gtest/gtest.h>

namespace llmd::routing {
namespace {

std::shared_ptr<const Endpoint> endpoint(std::string name) {
  Endpoint made;
  made.name = std::move(name);
  return std::make_shared<const Endpoint>(std::move(made));
}

/// `a` is chosen before `b`, `tied` and `higher`; `down` is filtered.
RequestRecord record() {
  ProfileExplanation profile;
  profile.profile = "default";
  profile.chosen = "pod-a";
  profile.scorers = {{.name = "queue", .weight = 2}, {.name = "prefix", .weight = 3}};
  profile.filtered = {{endpoint("pod-down"), "health-filter", "is down"}};
  profile.candidates = {{.endpoint = endpoint("pod-a"), .total = 3},
                        {.endpoint = endpoint("pod-b"), .total = 2.5F},
                        {.endpoint = endpoint("pod-tied"), .total = 3},
                        {.endpoint = endpoint("pod-higher"), .total = 5}};
  profile.parts = {{.score = 0}, {.score = 1}, {.score = 0.5F}, {.score = 0.5F},
                   {.score = 0}, {.score = 1}, {.score = 1},    {.score = 1}};
  profile.filtered_total = 1;
  profile.candidates_total = 4;
  RequestRecord made;
  made.explanation.profiles.push_back(std::move(profile));
  return made;
}

TEST(WhyNot, HasAVerdictForEachWayNotToBeChosen) {
  const std::vector<std::string> pool{"pod-a", "pod-new"};
  const struct {
    const char* asked;
    const char* endpoint;
    Verdict::Kind kind;
  } cases[]{
      {"pod-a", "pod-a", Verdict::Kind::kChosen},           {"pod-down", "pod-down", Verdict::Kind::kFiltered},
      {"pod-b", "pod-b", Verdict::Kind::kScoredLower},      {"tied", "pod-tied", Verdict::Kind::kTied},
      {"higher", "pod-higher", Verdict::Kind::kPassedOver}, {"new", "pod-new", Verdict::Kind::kNotThere},
  };
  const RequestRecord decided = record();
  for (const auto& each : cases) {
    const WhyNot answer = why_not(decided, each.asked, pool);
    EXPECT_EQ(answer.endpoint, each.endpoint) << each.asked;
    ASSERT_EQ(answer.verdicts.size(), 1U) << each.asked;
    EXPECT_EQ(answer.verdicts.front().kind, each.kind)
        << each.asked << ": " << verdict_name(answer.verdicts.front().kind);
  }
}

TEST(WhyNot, OfARecordThatListsOnlySomeItSaysSo) {
  RequestRecord decided = record();
  decided.explanation.profiles.front().candidates_total = 90;
  const std::vector<std::string> pool{"pod-other"};
  EXPECT_EQ(why_not(decided, "other", pool).verdicts.front().kind, Verdict::Kind::kNotRecorded);
}

TEST(WhyNot, TellsWhatEachScorerGaveMostDecisiveFirst) {
  const RequestRecord decided = record();
  const Verdict verdict = why_not(decided, "pod-b", {}).verdicts.front();
  ASSERT_EQ(verdict.gaps.size(), 2U);
  EXPECT_EQ(verdict.gaps[0].scorer, "prefix");
  EXPECT_FLOAT_EQ(verdict.gaps[0].difference, -1.5F);
  EXPECT_EQ(verdict.gaps[1].scorer, "queue");
  EXPECT_FLOAT_EQ(verdict.gaps[1].difference, 1);
  EXPECT_FLOAT_EQ(verdict.own->total - verdict.chosen->total, verdict.gaps[0].difference + verdict.gaps[1].difference);
}

TEST(WhyNot, ANameIsWholeOrAPieceThatNoOtherHas) {
  const RequestRecord decided = record();
  const std::vector<std::string> pool{"pod-b2"};
  EXPECT_EQ(why_not(decided, "pod-b", pool).endpoint, "pod-b") << "whole, though a piece of another";
  const WhyNot several = why_not(decided, "pod", pool);
  EXPECT_TRUE(several.endpoint.empty());
  EXPECT_EQ(several.meant.size(), 6U);
  EXPECT_TRUE(several.verdicts.empty());
  const WhyNot misspelt = why_not(decided, "pod-hihger", pool);
  EXPECT_TRUE(misspelt.endpoint.empty());
  EXPECT_EQ(misspelt.hint, "did you mean pod-higher?");
  EXPECT_FALSE(why_not(decided, std::string(1'000, 'x'), pool).hint.empty());
}

}  // namespace
}  // namespace llmd::routing
