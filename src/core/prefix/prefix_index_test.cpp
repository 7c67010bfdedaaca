#include "prefix/prefix_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/budget.h"
#include "base/rng.h"

namespace llmd {
namespace {

constexpr std::size_t kAmple = std::size_t{64} << 20;

std::vector<EndpointState> endpoints_named(const std::vector<std::string>& names) {
  std::vector<EndpointState> states;
  for (const std::string& name : names) {
    EndpointState state;
    state.endpoint = std::make_shared<Endpoint>(Endpoint{.name = name, .url = {}, .labels = {}});
    states.push_back(std::move(state));
  }
  return states;
}

PrefixKey key_of(std::vector<std::uint64_t> hashes) { return {.hashes = std::move(hashes), .block_tokens = 64}; }

std::vector<std::uint32_t> matched(const PrefixIndex& index, const PrefixKey& key,
                                   std::span<const EndpointState> states) {
  PrefixMatch match;
  index.match(key, states, match);
  return match.blocks;
}

std::vector<std::uint64_t> test_seeds() {
  if (const char* seed = std::getenv("LLMD_SEED")) return {std::strtoull(seed, nullptr, 10)};
  return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
}

/// Oracle: an endpoint is a list of generations, oldest first, each with its blocks in order of use. Too slow to ship,
/// too simple to be wrong.
struct NaiveIndex {
  struct Generation {
    std::uint64_t opened;
    std::vector<std::uint64_t> blocks{};
  };
  using Generations = std::vector<Generation>;
  std::size_t endpoint_blocks_max;
  std::map<std::string, Generations> held{};
  std::uint64_t pushed = 0;

  static std::size_t size(const Generations& generations) {
    std::size_t sum = 0;
    for (const Generation& each : generations) sum += each.blocks.size();
    return sum;
  }
  std::size_t total() const {
    std::size_t sum = 0;
    for (const auto& [name, generations] : held) sum += size(generations);
    return sum;
  }
  static bool holds(const Generations& generations, std::uint64_t hash) {
    return std::ranges::any_of(generations, [&](const Generation& each) { return has(each, hash); });
  }
  static bool has(const Generation& each, std::uint64_t hash) {
    return std::ranges::find(each.blocks, hash) != each.blocks.end();
  }
  bool closed(const Generations& generations) const {
    if (generations.empty()) return true;
    const std::size_t full =
        std::max({size(generations) / 16, std::min<std::size_t>(15, endpoint_blocks_max / 16), std::size_t{1}});
    return generations.back().blocks.size() >= full ||
           pushed - generations.back().opened >= std::max<std::size_t>(total() / 16, 15);
  }
  void insert(const std::string& name, const std::vector<std::uint64_t>& hashes) {
    Generations& generations = held[name];
    if (closed(generations) && (generations.empty() || !has(generations.back(), hashes.back())))
      generations.push_back({pushed});
    for (const std::uint64_t hash : hashes) {
      if (has(generations.back(), hash)) continue;
      if (holds(generations, hash)) {
        for (Generation& each : generations) std::erase(each.blocks, hash);
      } else if (size(generations) >= endpoint_blocks_max && !evict(generations)) {
        break;
      }
      generations.back().blocks.push_back(hash);
      ++pushed;
    }
    std::erase_if(generations, [](const Generation& each) { return each.blocks.empty(); });
  }
  static bool evict(Generations& generations) {
    const auto oldest = std::ranges::find_if(generations, [](const Generation& each) { return !each.blocks.empty(); });
    if (oldest == generations.end() || oldest + 1 == generations.end()) return false;
    oldest->blocks.pop_back();
    return true;
  }
  std::uint32_t match(const std::string& name, const std::vector<std::uint64_t>& hashes) const {
    std::uint32_t count = 0;
    for (const std::uint64_t hash : hashes) {
      if (std::ranges::none_of(held, [&](const auto& entry) { return holds(entry.second, hash); })) break;
      if (const auto found = held.find(name); found != held.end() && holds(found->second, hash)) ++count;
    }
    return count;
  }
};

/// A path in a tree with three branches a level: the hash names the path, so keys share prefixes as prompts do.
std::vector<std::uint64_t> random_path(Rng& rng, std::uint64_t depth_max) {
  std::vector<std::uint64_t> hashes;
  std::uint64_t node = 1;
  for (std::uint64_t depth = rng.below(depth_max + 1); depth > 0; --depth)
    hashes.push_back(node = node * 3 + rng.below(3));
  return hashes;
}

std::vector<std::string> names_of(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("ep-" + std::to_string(i));
  return names;
}

TEST(PrefixIndex, AgreesWithNaiveIndexOnRandomPrefixTrees) {
  const std::vector<std::string> names = names_of(9);
  const std::vector<EndpointState> states = endpoints_named(names);
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    const auto blocks_max = static_cast<std::uint32_t>(1 + rng.below(seed % 2 == 0 ? 40 : 400));
    Budget budget{"prefix", kAmple};
    PrefixIndex index{{.endpoint_blocks_max = blocks_max, .seed = seed}, budget};
    NaiveIndex oracle{.endpoint_blocks_max = blocks_max};
    PrefixMatch match;
    for (int step = 0; step < 1'000; ++step) {
      const std::vector<std::uint64_t> hashes = random_path(rng, 8);
      const std::string& name = names[rng.below(names.size())];
      if (rng.chance(0.02)) {
        rng.chance(0.5) ? index.remove(name) : index.clear(name);
        oracle.held.erase(name);
      } else if (!hashes.empty()) {
        index.insert(name, key_of(hashes));
        oracle.insert(name, hashes);
      }
      index.match(key_of(hashes), states, match);
      for (std::size_t i = 0; i < names.size(); ++i) {
        ASSERT_EQ(match.blocks[i], oracle.match(names[i], hashes)) << "step " << step << ", " << names[i];
      }
      ASSERT_TRUE(index.check_integrity()) << "step " << step;
      ASSERT_EQ(index.stats().entries, oracle.total()) << "step " << step;
    }
  }
}

TEST(PrefixIndex, HoldsExactlyWhatEventsOfSingleBlocksSay) {
  const std::vector<std::string> names = names_of(9);
  const std::vector<EndpointState> states = endpoints_named(names);
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    Budget budget{"prefix", kAmple};
    PrefixIndex index{{.seed = seed}, budget};
    std::map<std::string, std::set<std::uint64_t>> oracle;
    for (int step = 0; step < 4'000; ++step) {
      const std::string& name = names[rng.below(names.size())];
      const std::array block{1 + rng.below(40)};
      if (rng.chance(0.01)) {
        index.clear(name);
        oracle[name].clear();
      } else if (rng.chance(0.45)) {
        index.erase(name, block);
        oracle[name].erase(block[0]);
      } else {
        index.insert(name, block);
        oracle[name].insert(block[0]);
      }
      ASSERT_TRUE(index.check_integrity()) << "step " << step;
      const std::vector<std::uint32_t> found = matched(index, key_of({block[0]}), states);
      for (std::size_t i = 0; i < names.size(); ++i) {
        ASSERT_EQ(found[i], oracle[names[i]].count(block[0])) << "step " << step << ", " << names[i];
      }
    }
  }
}

TEST(PrefixIndex, KeepsWithinItsBudgetAndWhatItKeepsIsAUsablePrefix) {
  const std::vector<std::string> names = names_of(9);
  const std::vector<EndpointState> states = endpoints_named(names);
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    Budget budget{"prefix", 24 * 1024 + rng.below(64 * 1024)};
    PrefixIndex index{{.seed = seed}, budget};
    for (int step = 0; step < 3'000; ++step) {
      const std::vector<std::uint64_t> hashes = random_path(rng, 24);
      if (!hashes.empty()) index.insert(names[rng.below(names.size())], key_of(hashes));
      const std::vector<std::uint32_t> found = matched(index, key_of(hashes), states);
      for (std::size_t i = 0; i < names.size(); ++i) {
        const std::vector<std::uint64_t> first{hashes.begin(), hashes.begin() + found[i]};
        ASSERT_EQ(matched(index, key_of(first), states)[i], found[i]) << "step " << step << ", " << names[i];
      }
      ASSERT_LE(budget.used_bytes(), budget.limit_bytes());
      ASSERT_LE(index.stats().memory_bytes, budget.used_bytes());
    }
    EXPECT_TRUE(index.check_integrity());
    EXPECT_GT(index.stats().evictions, 1'000U);
    EXPECT_GT(index.stats().entries, 200U);
  }
}

TEST(PrefixIndex, ForgetsTheLongestUnusedFirst) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{.endpoint_blocks_max = 160}, budget};
  const auto states = endpoints_named({"a"});
  const auto prompt = [](std::uint64_t n) {
    std::vector<std::uint64_t> blocks;
    for (std::uint64_t i = 1; i <= 8; ++i) blocks.push_back(n * 100 + i);
    return key_of(blocks);
  };
  for (std::uint64_t n = 1; n <= 100; ++n) {
    index.insert("a", prompt(n));
    index.insert("a", prompt(1));
  }
  EXPECT_EQ(matched(index, prompt(1), states).front(), 8U) << "used all the time";
  for (std::uint64_t n = 85; n <= 100; ++n) EXPECT_EQ(matched(index, prompt(n), states).front(), 8U) << n;
  for (std::uint64_t n = 2; n <= 80; ++n) EXPECT_EQ(matched(index, prompt(n), states).front(), 0U) << n;
}

TEST(PrefixIndex, OfAllEndpointsForgetsTheLongestUnusedBlocksWhenTheBudgetIsFull) {
  Budget budget{"prefix", std::size_t{1} << 20U};
  PrefixIndex index{{}, budget};
  const std::vector<std::string> names = names_of(50);
  const auto states = endpoints_named(names);
  const auto prompt = [](std::uint64_t n) {
    std::vector<std::uint64_t> blocks;
    for (std::uint64_t i = 1; i <= 16; ++i) blocks.push_back(n * 100 + i);
    return key_of(blocks);
  };
  constexpr std::uint64_t kPrompts = 20'000;
  for (std::uint64_t n = 0; n < kPrompts; ++n) index.insert(names[n % names.size()], prompt(n));
  const std::uint64_t held = index.stats().entries / 16;
  EXPECT_GT(held, 1'500U) << "1 MB at 32 bytes a pair";
  for (std::uint64_t n = 0; n < kPrompts; ++n) {
    const std::uint32_t found = matched(index, prompt(n), states)[n % names.size()];
    if (n >= kPrompts - held * 7 / 8) {
      EXPECT_EQ(found, 16U) << n;
    } else if (n < kPrompts - held * 9 / 8) {
      EXPECT_EQ(found, 0U) << n;
    }
  }
}

TEST(PrefixIndex, TellsHowManyBlocksEachEndpointHolds) {
  Budget budget{"prefix", std::size_t{1} << 20};
  PrefixIndex index{{}, budget};
  index.insert("b", std::vector<std::uint64_t>{1, 2, 3});
  index.insert("a", std::vector<std::uint64_t>{1});
  index.insert("gone", std::vector<std::uint64_t>{9});
  index.remove("gone");
  EXPECT_EQ(index.endpoint_blocks(), (std::vector<std::pair<std::string, std::uint64_t>>{{"a", 1}, {"b", 3}}));
}

TEST(PrefixIndex, CountsGapsAsLlmdDoesAndStopsWhereNobodyHoldsTheBlock) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  const auto states = endpoints_named({"a", "b", "c"});
  index.insert("a", key_of({1, 2, 3}));
  index.insert("b", key_of({1, 3}));
  EXPECT_EQ(matched(index, key_of({1, 2, 3, 9, 1}), states), (std::vector<std::uint32_t>{3, 2, 0}));
}

TEST(PrefixIndex, DropsTheLastBlockOfThePromptFirstWhenAnEndpointIsFull) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{.endpoint_blocks_max = 2}, budget};
  const auto states = endpoints_named({"a"});
  index.insert("a", key_of({1, 2, 3}));
  EXPECT_EQ(matched(index, key_of({1}), states).front(), 1U);
  EXPECT_EQ(matched(index, key_of({1, 2}), states).front(), 2U);
  EXPECT_EQ(matched(index, key_of({3}), states).front(), 0U);
}

TEST(PrefixIndex, MatchingDoesNotKeepABlockAlive) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{.endpoint_blocks_max = 2}, budget};
  const auto states = endpoints_named({"a"});
  index.insert("a", key_of({1}));
  index.insert("a", key_of({2}));
  EXPECT_EQ(matched(index, key_of({1}), states).front(), 1U);
  index.insert("a", key_of({3}));
  EXPECT_EQ(matched(index, key_of({1}), states).front(), 0U);
  EXPECT_EQ(matched(index, key_of({2}), states).front(), 1U);
}

TEST(PrefixIndex, HoldsNothingAndSaysSoWithoutABudget) {
  Budget budget{"prefix", 0};
  PrefixIndex index{{}, budget};
  index.insert("a", key_of({1, 2}));
  EXPECT_EQ(matched(index, key_of({1, 2}), endpoints_named({"a"})).front(), 0U);
  EXPECT_EQ(index.stats().dropped, 2U);
  EXPECT_TRUE(index.check_integrity());
}

TEST(PrefixIndex, TakesAtMost32BytesAPairHoweverManyEndpointsHoldABlock) {
  const std::vector<std::string> names = names_of(1'000);
  for (const std::uint64_t spread : {1ULL, 2ULL, 3ULL, 4ULL, 5ULL, 16ULL, 1'000ULL}) {
    SCOPED_TRACE(testing::Message() << "endpoints a block: " << spread);
    Budget budget{"prefix", kAmple};
    PrefixIndex index{{}, budget};
    const std::size_t fixed = budget.used_bytes();
    Rng rng{spread};
    std::uint64_t next = 0;
    for (int prompt = 0; prompt < static_cast<int>(40'000 / spread); ++prompt) {
      std::vector<std::uint64_t> blocks(8);
      for (std::uint64_t& block : blocks) block = rng.next();
      for (std::uint64_t i = 0; i < spread; ++i) index.insert(names[next++ % names.size()], key_of(blocks));
    }
    EXPECT_LE(index.stats().memory_bytes, budget.used_bytes());
    // Beside counters of heat, and 256 bytes an endpoint.
    const std::size_t charged = budget.used_bytes() - fixed - names.size() * 256;
    EXPECT_LE(charged, 32 * index.stats().entries);
    EXPECT_EQ(index.stats().entries, 40'000U / spread * spread * 8);
  }
}

// The names of endpoints take most of the budget, which a pair's 32 bytes do not foresee.
TEST(PrefixIndex, EvictsWhenTheTableFindsNoMemory) {
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    Budget budget{"prefix", 64 * 1024};
    PrefixIndex index{{.seed = seed}, budget};
    const std::vector<std::string> names = names_of(50 + 10 * (seed % 6));
    for (const std::string& name : names) index.insert(name, key_of({1}));
    for (int step = 0; step < 3'000; ++step) {
      std::vector<std::uint64_t> blocks(8);
      const std::uint64_t prompt = rng.below(400);
      for (std::uint64_t i = 0; i < 8; ++i) blocks[i] = prompt * 8 + i + 1;
      index.insert(names[rng.below(names.size())], key_of(blocks));
    }
    EXPECT_TRUE(index.check_integrity());
    EXPECT_LE(budget.used_bytes(), budget.limit_bytes());
    EXPECT_GT(index.stats().evictions, 15'000U);
    EXPECT_LT(index.stats().dropped, 500U) << "of 24,000";
  }
}

TEST(PrefixIndex, AnEndpointThatLeftAndCameBackStartsEmpty) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  const auto states = endpoints_named({"a", "b"});
  PrefixMatch match;
  index.insert("a", key_of({1, 2}));
  index.match(key_of({1, 2}), states, match);
  EXPECT_EQ(match.blocks, (std::vector<std::uint32_t>{2, 0}));
  index.remove("a");
  index.insert("b", key_of({1}));  // takes the slot that "a" had, under the eyes of a match that remembers slots
  index.match(key_of({1, 2}), states, match);
  EXPECT_EQ(match.blocks, (std::vector<std::uint32_t>{0, 1}));
}

TEST(PrefixIndex, DropsEndpointsBeyondItsLimitAndCountsThem) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{.endpoints_max = 1}, budget};
  index.insert("a", key_of({1}));
  index.insert("b", key_of({1, 2}));
  EXPECT_EQ(index.stats().endpoints, 1U);
  EXPECT_EQ(index.stats().dropped, 2U);
}

TEST(PrefixIndex, StaysWholeUnderConcurrentMatchInsertAndRemove) {
  Budget budget{"prefix", 128 * 1024};
  PrefixIndex index{{}, budget};
  const auto states = endpoints_named(names_of(8));
  const auto work = [&](std::uint64_t seed) {
    Rng rng{seed};
    PrefixMatch match;
    for (int step = 0; step < 3'000; ++step) {
      std::vector<std::uint64_t> hashes;
      for (std::uint64_t i = 0; i < 8; ++i) hashes.push_back(rng.below(4'000));
      const PrefixKey key = key_of(std::move(hashes));
      index.match(key, states, match);
      ASSERT_LE(*std::max_element(match.blocks.begin(), match.blocks.end()), 8U);
      const std::string& name = states[rng.below(8)].endpoint->name;
      if (rng.chance(0.01)) {
        index.remove(name);
      } else if (rng.chance(0.2)) {
        index.erase(name, key.hashes);
      } else {
        index.insert(name, key);
      }
    }
  };
  std::vector<std::jthread> threads;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) threads.emplace_back(work, seed);
  threads.clear();
  EXPECT_TRUE(index.check_integrity());
  EXPECT_LE(budget.used_bytes(), budget.limit_bytes());
}

TEST(PrefixIndex, AMatchBesideAWriterMissesNothingThatIsThere) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  const std::vector<std::string> names = names_of(12);
  const auto states = endpoints_named(names);
  std::vector<std::uint64_t> shared;
  for (std::uint64_t i = 1; i <= 100; ++i) shared.push_back(i);
  index.insert(names[0], shared);
  constexpr std::uint64_t kMatches = 200;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> matches{0};
  PrefixMatch match;
  const PrefixKey key = key_of(shared);
  index.match(key, states, match);
  ASSERT_EQ(match.blocks[0], 100U);
  std::jthread writer{[&] {
    Rng rng{1};
    // Others come to the shared blocks and leave them, and the table grows.
    for (int step = 0; step < 2'000 || (matches < kMatches && step < 200'000); ++step) {
      std::vector<std::uint64_t> own(20);
      for (std::uint64_t& block : own) block = rng.next();
      const std::string& name = names[1 + rng.below(11)];
      index.insert(name, rng.chance(0.5) ? shared : own);
      if (rng.chance(0.3)) index.erase(names[1 + rng.below(11)], shared);
    }
    done = true;
  }};
  std::uint64_t missed = 0;
  for (; !done; ++matches) {
    index.match(key, states, match);
    missed += match.blocks[0] != 100U;
  }
  EXPECT_GE(matches, kMatches);
  EXPECT_EQ(missed, 0U);
}

TEST(PrefixIndex, TellsHowHotTheKnownPartOfAPromptIs) {
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{.heat_half_life = seconds{10}}, budget};
  const auto states = endpoints_named({"a"});
  const TimePoint start{std::chrono::hours{1}};
  PrefixMatch match;
  for (int i = 0; i < 8; ++i) index.note_use(key_of({1, 2, 3, 4}), start);
  index.match(key_of({1, 2, 3, 4}), states, match, start);
  EXPECT_FLOAT_EQ(match.heat, 0) << "nobody holds it";
  index.insert("a", key_of({1, 2, 3, 4}));
  index.match(key_of({1, 2, 3, 9}), states, match, start + seconds{10});
  EXPECT_EQ(match.known_blocks, 3U);
  EXPECT_FLOAT_EQ(match.heat, 4);
  ASSERT_EQ(index.hot_prefixes(5, start).size(), 1U);
  EXPECT_EQ(index.hot_prefixes(5, start)[0].hash, 4U);
}

}  // namespace
}  // namespace llmd
