#include "prefix/prefix_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
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

/// Oracle: an endpoint is a vector in order of use, oldest first. Too slow to ship, too simple to be wrong.
struct NaiveIndex {
  struct Held {
    std::uint64_t hash;
    std::uint64_t stamp;
  };
  std::size_t endpoint_blocks_max;
  std::size_t total_max;
  std::map<std::string, std::vector<Held>> held{};
  std::vector<std::string> slots{};  // in the order in which names took slots; empty: given back
  std::uint64_t stamp = 0;
  std::size_t total = 0;

  void insert(const std::string& name, const std::vector<std::uint64_t>& hashes) {
    ++stamp;
    if (!held.contains(name)) {
      held[name] = {};
      take_slot(name);
    }
    for (auto hash = hashes.rbegin(); hash != hashes.rend(); ++hash) {
      std::vector<Held>& list = held[name];
      total -= std::erase_if(list, [&](const Held& h) { return h.hash == *hash; });
      if (list.size() >= endpoint_blocks_max) evict(list);
      if (total == total_max) evict_longest_unused();
      list.push_back({*hash, stamp});
      ++total;
    }
  }
  void evict(std::vector<Held>& list) {
    list.erase(list.begin());
    --total;
  }
  void evict_longest_unused() {
    std::string victim;
    for (const std::string& name : slots) {
      if (name.empty() || held[name].empty()) continue;
      if (victim.empty() || held[name].front().stamp < held[victim].front().stamp) victim = name;
    }
    for (int i = 0; i < 32 && !held[victim].empty() && (i == 0 || held[victim].front().stamp != stamp); ++i)
      evict(held[victim]);
  }
  void take_slot(const std::string& name) {
    freed.empty() ? slots.push_back(name) : void(slots[freed.back()] = name);
    if (!freed.empty()) freed.pop_back();
  }
  void remove(const std::string& name) {
    if (!held.contains(name)) return;
    total -= held[name].size();
    held.erase(name);
    const auto slot = std::find(slots.begin(), slots.end(), name);
    slot->clear();
    freed.push_back(static_cast<std::size_t>(slot - slots.begin()));
  }
  std::uint32_t match(const std::string& name, const std::vector<std::uint64_t>& hashes) const {
    std::uint32_t count = 0;
    for (const std::uint64_t hash : hashes) {
      const auto holds = [&](const std::vector<Held>& list) {
        return std::any_of(list.begin(), list.end(), [&](const Held& h) { return h.hash == hash; });
      };
      if (std::none_of(held.begin(), held.end(), [&](const auto& entry) { return holds(entry.second); })) break;
      if (const auto found = held.find(name); found != held.end() && holds(found->second)) ++count;
    }
    return count;
  }
  std::vector<std::size_t> freed{};
};

TEST(PrefixIndex, AgreesWithNaiveIndexOnRandomPrefixTrees) {
  std::vector<std::string> names;
  for (int i = 0; i < 9; ++i) names.push_back("ep-" + std::to_string(i));
  const std::vector<EndpointState> states = endpoints_named(names);
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    const auto blocks_max = static_cast<std::uint32_t>(1 + rng.below(40));
    const std::size_t pairs_max = 20 + rng.below(200);  // tiny, so that eviction is the common case
    Budget budget{"prefix", pairs_max * 96};
    PrefixIndex index{{.endpoint_blocks_max = blocks_max, .endpoints_max = 1'024, .seed = seed}, budget};
    NaiveIndex oracle{.endpoint_blocks_max = blocks_max, .total_max = pairs_max};
    PrefixMatch match;
    for (int step = 0; step < 1'000; ++step) {
      // A path in a tree with three branches a level: the hash names the path, so keys share prefixes as prompts do.
      std::vector<std::uint64_t> hashes;
      std::uint64_t node = 1;
      for (std::uint64_t depth = rng.below(9); depth > 0; --depth) hashes.push_back(node = node * 3 + rng.below(3));
      const PrefixKey key = key_of(hashes);
      const std::string& name = names[rng.below(names.size())];
      if (rng.chance(0.03)) {
        index.remove(name);
        oracle.remove(name);
      } else if (!hashes.empty()) {
        index.insert(name, key);
        oracle.insert(name, hashes);
      }
      index.match(key, states, match);
      for (std::size_t i = 0; i < names.size(); ++i) {
        ASSERT_EQ(match.blocks[i], oracle.match(names[i], hashes)) << "step " << step << ", " << names[i];
      }
      ASSERT_TRUE(index.check_integrity()) << "step " << step;
      ASSERT_EQ(index.stats().entries, oracle.total) << "step " << step;
    }
    EXPECT_LE(budget.used_bytes(), budget.limit_bytes());
  }
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

TEST(PrefixIndex, MemoryStaysBelowWhatItChargedTheBudget) {
  for (const std::uint64_t spread : {1ULL, 4ULL, 1'000ULL}) {
    SCOPED_TRACE(testing::Message() << "endpoints a block: " << spread);
    Budget budget{"prefix", kAmple};
    PrefixIndex index{{}, budget};
    Rng rng{spread};
    std::vector<std::string> names;
    for (int i = 0; i < 1'000; ++i) names.push_back("ep-" + std::to_string(i));
    for (int prompt = 0; prompt < static_cast<int>(40'000 / spread); ++prompt) {
      const PrefixKey key = key_of({rng.next(), rng.next(), rng.next(), rng.next()});
      for (std::uint64_t i = 0; i < spread; ++i) index.insert(names[rng.below(names.size())], key);
    }
    constexpr std::size_t kEmptyTables = 24 * 1024;
    EXPECT_LE(index.stats().memory_bytes, budget.used_bytes() + kEmptyTables);
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
  Budget budget{"prefix", 2'000 * 96};
  PrefixIndex index{{}, budget};
  const auto states = endpoints_named({"a", "b", "c", "d"});
  const auto work = [&](std::uint64_t seed) {
    Rng rng{seed};
    PrefixMatch match;
    for (int step = 0; step < 2'000; ++step) {
      std::vector<std::uint64_t> hashes;
      for (std::uint64_t i = 0; i < 8; ++i) hashes.push_back(rng.below(4'000));
      const PrefixKey key = key_of(std::move(hashes));
      index.match(key, states, match);
      ASSERT_LE(*std::max_element(match.blocks.begin(), match.blocks.end()), 8U);
      if (rng.chance(0.02)) {
        index.remove(states[rng.below(4)].endpoint->name);
      } else {
        index.insert(states[rng.below(4)].endpoint->name, key);
      }
    }
  };
  std::vector<std::jthread> threads;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) threads.emplace_back(work, seed);
  threads.clear();
  EXPECT_TRUE(index.check_integrity());
}

}  // namespace
}  // namespace llmd
