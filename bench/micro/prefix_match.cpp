// links: llmd_prefix llmd_model
// Question: what does one prefix match cost inside a scheduling decision, and what does a pair cost in memory?
// The numbers that matter: blocks/s at 1,000 endpoints (wanted: 5 M a core) and bytes_per_pair (wanted: 32).
// Baseline: an std::unordered_map from hash to a vector of endpoints, walked in the same way (BM_NaiveMatch).
// Estimate before measuring: 128 blocks x one cache miss of 80 ns, mostly hidden by prefetching = 3 us, and 1,000
// counters = 2 us.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/budget.h"
#include "base/rng.h"
#include "model/endpoint.h"
#include "model/prefix_key.h"
#include "prefix/prefix_index.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

constexpr std::size_t kPrompts = 2'000;
constexpr std::size_t kBlocks = 128;  // 8k tokens of 64

std::vector<EndpointState> make_pool(std::size_t count) {
  std::vector<EndpointState> pool(count);
  for (std::size_t i = 0; i < count; ++i)
    pool[i].endpoint = std::make_shared<Endpoint>(Endpoint{.name = fmt::format("ep-{}", i)});
  return pool;
}

// Prompts in 50 families that share their first half, as system prompts and documents do; each was sent to three
// endpoints.
std::vector<PrefixKey> make_prompts() {
  Rng rng{1};
  std::vector<std::vector<std::uint64_t>> families(50);
  for (auto& family : families) {
    for (std::size_t i = 0; i < kBlocks / 2; ++i) family.push_back(rng.next());
  }
  std::vector<PrefixKey> prompts(kPrompts);
  for (PrefixKey& prompt : prompts) {
    prompt.hashes = families[rng.below(families.size())];
    while (prompt.hashes.size() < kBlocks) prompt.hashes.push_back(rng.next());
    prompt.block_tokens = 64;
  }
  return prompts;
}

void BM_PrefixMatch(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(static_cast<std::size_t>(state.range(0)));
  const std::vector<PrefixKey> prompts = make_prompts();
  Budget budget{"prefix", std::size_t{1} << 30};
  PrefixIndex index{{}, budget};
  Rng rng{2};
  for (const PrefixKey& prompt : prompts) {
    for (int copy = 0; copy < 3; ++copy) index.insert(pool[rng.below(pool.size())].endpoint->name, prompt);
  }
  PrefixMatch match;
  std::size_t blocks = 0;
  std::size_t matched = 0;
  std::size_t i = 0;
  for ([[maybe_unused]] auto step : state) {
    const PrefixKey& key = prompts[i++ % prompts.size()];
    index.match(key, pool, match);
    benchmark::DoNotOptimize(match.blocks.data());
    matched += match.blocks[i % pool.size()];
    blocks += key.hashes.size();
  }
  const PrefixIndex::Stats stats = index.stats();
  state.counters["blocks/s"] = benchmark::Counter(static_cast<double>(blocks), benchmark::Counter::kIsRate);
  state.counters["match_ratio"] =
      static_cast<double>(matched) / static_cast<double>(blocks);  // moves only if behaviour does
  state.counters["bytes_per_pair"] = static_cast<double>(stats.memory_bytes) / static_cast<double>(stats.entries);
}
BENCHMARK(BM_PrefixMatch)->Arg(10)->Arg(1'000)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

void BM_PrefixInsert(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(static_cast<std::size_t>(state.range(0)));
  const std::vector<PrefixKey> prompts = make_prompts();
  Budget budget{"prefix", std::size_t{256} << 20};
  PrefixIndex index{{}, budget};
  Rng rng{2};
  std::size_t blocks = 0;
  std::size_t i = 0;
  for ([[maybe_unused]] auto step : state) {
    const PrefixKey& key = prompts[i++ % prompts.size()];
    index.insert(pool[rng.below(pool.size())].endpoint->name, key);
    blocks += key.hashes.size();
  }
  state.counters["blocks/s"] = benchmark::Counter(static_cast<double>(blocks), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_PrefixInsert)->Arg(10)->Arg(1'000)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

void BM_NaiveMatch(benchmark::State& state) {
  const auto endpoints = static_cast<std::size_t>(state.range(0));
  const std::vector<PrefixKey> prompts = make_prompts();
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> holders;
  Rng rng{2};
  for (const PrefixKey& prompt : prompts) {
    for (int copy = 0; copy < 3; ++copy) {
      const auto endpoint = static_cast<std::uint32_t>(rng.below(endpoints));
      for (const std::uint64_t hash : prompt.hashes) {
        auto& list = holders[hash];
        if (std::find(list.begin(), list.end(), endpoint) == list.end()) list.push_back(endpoint);
      }
    }
  }
  std::size_t blocks = 0;
  std::size_t i = 0;
  for ([[maybe_unused]] auto step : state) {
    const PrefixKey& key = prompts[i++ % prompts.size()];
    std::vector<std::uint32_t> counts(endpoints);
    for (const std::uint64_t hash : key.hashes) {
      const auto found = holders.find(hash);
      if (found == holders.end()) break;
      for (const std::uint32_t endpoint : found->second) ++counts[endpoint];
    }
    benchmark::DoNotOptimize(counts.data());
    blocks += key.hashes.size();
  }
  state.counters["blocks/s"] = benchmark::Counter(static_cast<double>(blocks), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_NaiveMatch)->Arg(10)->Arg(1'000)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

}  // namespace

BENCHMARK_MAIN();
