#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/test_engine.h"
#include "kvstore/block_store.h"

namespace llmd {
namespace {

constexpr std::uint32_t kOutput = 2;

/// Prompts that are the leaves of a random tree: each shares its way from the root with others.
std::vector<std::vector<TokenId>> leaves_of_random_tree(Rng& rng, std::size_t leaves) {
  std::vector<std::vector<TokenId>> nodes{{1}};
  std::vector<bool> is_leaf{true};
  std::size_t leaf_count = 1;
  while (leaf_count < leaves) {
    // A node that is not too deep gets 1 to 4 children; one of them replaces it as a leaf.
    const std::size_t parent = rng.below(nodes.size());
    if (nodes[parent].size() > 60) continue;
    const std::size_t children = 1 + rng.below(4);
    for (std::size_t i = 0; i < children; ++i) {
      std::vector<TokenId> child = nodes[parent];
      for (std::uint64_t left = 3 + rng.below(12); left > 0; --left)
        child.push_back(static_cast<TokenId>(20 + rng.below(40'000)));
      nodes.push_back(std::move(child));
      is_leaf.push_back(true);
    }
    leaf_count += children - (is_leaf[parent] ? 1 : 0);
    is_leaf[parent] = false;
  }
  std::vector<std::vector<TokenId>> prompts;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (is_leaf[i]) prompts.push_back(nodes[i]);
  }
  return prompts;
}

EngineOptions tree_options() {
  EngineOptions options = test_options();
  options.block_tokens = 8;
  options.step_tokens = 96;
  options.context_tokens = 512;
  options.kv_bytes = 12ULL * 512 * 23'040;
  options.sequences_max = 12;
  return options;
}

/// All prompts at once without any cache: the oracle.
std::vector<Answer> answers_without_cache(const std::vector<std::vector<TokenId>>& prompts) {
  EngineOptions options = tree_options();
  options.store_bytes = 0;
  auto engine = make_engine(options);
  auto sink = std::make_shared<Collector>();
  std::vector<SequenceId> ids;
  for (const auto& prompt : prompts) ids.push_back(engine->submit(greedy(prompt, kOutput), sink).value());
  std::vector<Answer> answers;
  for (const SequenceId id : ids) answers.push_back(sink->wait(id));
  return answers;
}

struct Flight {
  std::size_t leaf;
  SequenceId id;
  bool cancelled;
};

/// Leaves in random order, several times, a few in flight, some cancelled, in a store that holds `store_blocks` blocks.
void check_with_cache(const std::vector<std::vector<TokenId>>& prompts, const std::vector<Answer>& expected, Rng& rng,
                      std::uint64_t store_blocks) {
  EngineOptions options = tree_options();
  options.store_bytes = store_blocks * options.block_tokens * 23'040;
  auto engine = make_engine(options);
  auto sink = std::make_shared<Collector>();
  std::vector<Flight> flights;
  std::uint64_t cached = 0;
  const auto land = [&](std::size_t flight) {
    const Answer answer = sink->wait(flights[flight].id);
    if (!flights[flight].cancelled || answer.finish != FinishReason::kCancelled) {
      ASSERT_EQ(answer.tokens, expected[flights[flight].leaf].tokens) << "leaf " << flights[flight].leaf;
    }
    cached += answer.usage.cached_tokens;
    flights.erase(flights.begin() + static_cast<std::ptrdiff_t>(flight));
  };
  for (std::size_t i = 0; i < prompts.size() + prompts.size() / 4; ++i) {
    const std::size_t leaf = rng.below(prompts.size());
    SequenceRequest request = greedy(prompts[leaf], kOutput);
    request.priority = static_cast<std::int32_t>(rng.below(3));
    const SequenceId id = engine->submit(std::move(request), sink).value();
    flights.push_back({leaf, id, rng.chance(0.15)});
    if (flights.back().cancelled) engine->cancel(id);
    while (flights.size() > 6) land(rng.below(flights.size()));
  }
  while (!flights.empty()) land(0);
  EXPECT_GT(cached, 0U);
  EXPECT_TRUE(engine->block_store()->check_integrity());
  EXPECT_LE(engine->load().store_bytes, options.store_bytes);
  EXPECT_EQ(engine->load().store_evictions > 0, store_blocks < prompts.size());
  EXPECT_EQ(engine->block_store()->stats().pinned_blocks, 0U);
}

TEST(PrefixTree, OutputsAreTheSameWithACacheThroughCancellationsAndEvictions) {
  // LLMD_PREFIX_LEAVES=300 for the long form; LLMD_SEED=n replays one tree.
  const char* leaves = std::getenv("LLMD_PREFIX_LEAVES");
  const char* seed = std::getenv("LLMD_SEED");
  const std::uint64_t seed_value = seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
  SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed_value);
  Rng rng{seed_value};
  const auto prompts = leaves_of_random_tree(rng, leaves == nullptr ? 24 : std::strtoull(leaves, nullptr, 10));
  const auto expected = answers_without_cache(prompts);
  check_with_cache(prompts, expected, rng, prompts.size() / 3);
  check_with_cache(prompts, expected, rng, 4'000);
}

}  // namespace
}  // namespace llmd
