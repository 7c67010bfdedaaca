#include "scheduling/producers/burst_assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "scheduling/producers/burst_prefix_cache_producer.h"
#include "scheduling/testing/made_plugin.h"

namespace llmd::scheduling {
namespace {

using testing::refusal;
using namespace std::string_literals;

/// Requests in order: so many with the prompt whose blocks the letters stand for.
struct Burst {
  std::size_t count;
  std::string blocks;
};

std::vector<std::uint64_t> chain(const std::string& blocks) {
  std::vector<std::uint64_t> hashes;
  std::uint64_t hash = 1;
  for (const char block : blocks) {
    hash = hash * 1'000'003U + static_cast<unsigned char>(block);
    hashes.push_back(hash);
  }
  return hashes;
}

/// The replica of each burst's requests, each as a letter; "-" without one.
std::vector<std::string> assign(const std::vector<Burst>& bursts, std::vector<BurstReplica> replicas,
                                const BurstRules& rules) {
  std::vector<std::vector<std::uint64_t>> chains;
  for (const Burst& burst : bursts) chains.insert(chains.end(), burst.count, chain(burst.blocks));
  const std::vector<std::span<const std::uint64_t>> prompts(chains.begin(), chains.end());
  const std::vector<std::size_t> assigned = assign_burst(prompts, replicas, rules);
  std::vector<std::string> shown;
  std::size_t next = 0;
  for (const Burst& burst : bursts) {
    std::string& letters = shown.emplace_back();
    for (std::size_t i = 0; i < burst.count; ++i, ++next)
      letters += assigned[next] == kNoReplica ? "-" : replicas[assigned[next]].name;
  }
  return shown;
}

const std::vector<BurstReplica> kTwo{{.name = "a"}, {.name = "b"}};
const std::vector<BurstReplica> kFour{{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};

TEST(AssignBurst, PlacesWhatSharesAPromptTogether) {
  const struct {
    std::string name;
    std::vector<Burst> bursts;
    std::vector<BurstReplica> replicas;
    BurstRules rules;
    std::vector<std::string> expected;
  } cases[] = {
      {"a group stays together", {{8, "xyz"}}, kFour, {}, {"aaaaaaaa"}},
      {"a limit spreads it", {{8, "xyz"}}, kFour, {.replica_max = 2}, {"aabbccdd"}},
      {"one replica is filled before the next", {{8, "xyz"}}, kFour, {.replica_max = 4}, {"aaaabbbb"}},
      {"beyond all limits one by one", {{8, "xyz"}}, kTwo, {.replica_max = 2}, {"aabbabab"}},
      {"a single request is left alone", {{1, "xyz"}}, kTwo, {}, {"-"}},
      {"no prompt, no group", {{2, ""}}, kTwo, {}, {"--"}},
      {"groups spread", {{8, "xyz"}, {8, "pqr"}}, kFour, {}, {"aaaaaaaa", "bbbbbbbb"}},
      {"families stay together",
       {{2, "xya"}, {2, "xyb"}, {2, "pqa"}, {2, "pqb"}},
       kTwo,
       {.shared_blocks_min = 2},
       {"aa", "aa", "bb", "bb"}},
      {"but no more than a fair share of them",
       {{2, "xya"}, {2, "xyb"}, {2, "xyc"}, {2, "xyd"}},
       kFour,
       {.shared_blocks_min = 2},
       {"aa", "bb", "cc", "dd"}},
      {"too little shared",
       {{2, "xya"}, {2, "xyb"}, {2, "pqa"}, {2, "pqb"}},
       kTwo,
       {.shared_blocks_min = 3},
       {"aa", "bb", "aa", "bb"}},
      {"a single one joins the group that it overlaps",
       {{2, "xya"}, {1, "xyb"}, {2, "pqa"}, {1, "pqb"}},
       kTwo,
       {.shared_blocks_min = 2},
       {"aa", "a", "bb", "b"}},
      {"one that overlaps nothing does not", {{2, "xya"}, {1, "mmm"}}, kTwo, {.shared_blocks_min = 2}, {"aa", "-"}},
      {"single ones that overlap each other",
       {{1, "xya"}, {1, "xyb"}, {1, "xyc"}, {1, "xyd"}},
       kTwo,
       {.shared_blocks_min = 2},
       {"a", "a", "b", "b"}},
      {"all on the only one", {{4, "xyz"}, {4, "pqr"}}, {{.name = "a"}}, {.shared_blocks_min = 2}, {"aaaa", "aaaa"}},
      {"nowhere", {{2, "xyz"}}, {}, {}, {"--"}},
      {"by requests a long prompt counts as a short one",
       {{2, "wxyz"}, {2, "p"}, {2, "q"}},
       kTwo,
       {},
       {"aa", "bb", "aa"}},
      {"by blocks it does not", {{2, "wxyz"}, {2, "p"}, {2, "q"}}, kTwo, {.by_blocks = true}, {"aa", "bb", "bb"}},
      {"shared blocks are computed once",
       {{2, "123456789a"}, {2, "123456789b"}, {2, "123456789c"}},
       kTwo,
       {.shared_blocks_min = 9, .by_blocks = true},
       {"aa", "aa", "aa"}},
      {"longer prompts first", {{2, "x"}, {2, "pqr"}}, kTwo, {}, {"bb", "aa"}},
      {"running requests decide among equals",
       {{2, "x"}},
       {{.name = "a", .running = 3}, {.name = "b", .running = 1}, {.name = "c", .running = 1}},
       {},
       {"bb"}},
  };
  for (const auto& c : cases) EXPECT_EQ(assign(c.bursts, c.replicas, c.rules), c.expected) << c.name;
}

TEST(BurstPrefixCacheProducer, ReadsItsLimits) {
  const auto read = [](const testing::GivenParameters& settings) {
    const Parameters parameters = testing::parameters_of(settings);
    return BurstPrefixCacheProducer::read({BurstPrefixCacheProducer::kSpec.parameters, parameters});
  };
  const BurstPrefixCacheProducer::Options normal = read({});
  EXPECT_EQ(normal.window, milliseconds{100});
  EXPECT_EQ(normal.blocks_max, 2'048U);
  EXPECT_EQ(normal.batch_max, 1'000U);
  EXPECT_EQ(normal.rules.replica_max, BurstRules::kUnlimited);
  EXPECT_FALSE(normal.rules.by_blocks);
  const BurstPrefixCacheProducer::Options changed = read({{"blockSizeTokens", std::int64_t{16}},
                                                          {"maxPrefixTokensToMatch", std::int64_t{100}},
                                                          {"maxPerReplica", std::int64_t{3}},
                                                          {"maxBatchSize", std::int64_t{-1}},
                                                          {"minColocateBlocks", std::int64_t{4}},
                                                          {"balanceBy", "tokens"s}});
  EXPECT_EQ(changed.blocks_max, 6U);
  EXPECT_EQ(changed.batch_max, BurstRules::kUnlimited);
  EXPECT_EQ(changed.rules.replica_max, 3U);
  EXPECT_EQ(changed.rules.shared_blocks_min, 4U);
  EXPECT_TRUE(changed.rules.by_blocks);
}

TEST(BurstPrefixCacheProducer, RefusesWhatLlmdRefuses) {
  const std::string type = "burst-prefix-cache-producer";
  const auto with = [&](const std::string& name, std::int64_t value) { return refusal(type, {{name, value}}); };
  EXPECT_EQ(refusal(type, {}), "");
  EXPECT_EQ(with("windowDurationMs", 0), type + ": windowDurationMs is 0; expected a whole number from 1 to 10000");
  EXPECT_EQ(with("windowDurationMs", 10'001),
            type + ": windowDurationMs is 10001; expected a whole number from 1 to 10000");
  EXPECT_EQ(with("maxPerReplica", 0), type + ": maxPerReplica is 0; expected -1 or more");
  EXPECT_EQ(with("maxBatchSize", 0), type + ": maxBatchSize is 0; expected -1 or more");
  EXPECT_EQ(with("blockSizeTokens", 0), type + ": blockSizeTokens is 0; expected a whole number from 1 to 1000000000");
  EXPECT_EQ(with("maxPrefixTokensToMatch", 63), type + ": maxPrefixTokensToMatch is 63, less than blockSizeTokens, 64");
  EXPECT_EQ(with("maxPrefixTokensToMatch", 64), "");
  EXPECT_EQ(refusal(type, {{"balanceBy", "blocks"s}}),
            type + ": balanceBy is \"blocks\"; expected one of requests, tokens");
}

}  // namespace
}  // namespace llmd::scheduling
