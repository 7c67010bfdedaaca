// links: llmd_prefix llmd_model
// Question: what does the prefix index cost: a match inside a decision, an insert after it, a KV event, an eviction, a
// pair in memory, and a reader the writer beside it?
// The numbers that matter: blocks/s of matches (wanted: 5 M a core), blocks/s of inserts and events (1 M a core),
// bytes_per_pair (32), and p99 of a match beside a writer.
// Baseline: an std::unordered_map from hash to a vector of endpoints, walked in the same way (BM_NaiveMatch).
// Estimate before measuring: 128 blocks x one cache miss of 80 ns, mostly hidden by prefetching = 3 us, and 1,000
// counters = 2 us.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
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
constexpr std::size_t kAmple = std::size_t{1} << 30;

std::vector<EndpointState> make_pool(std::size_t count) {
  std::vector<EndpointState> pool(count);
  for (std::size_t i = 0; i < count; ++i)
    pool[i].endpoint = std::make_shared<Endpoint>(Endpoint{.name = fmt::format("ep-{}", i)});
  return pool;
}

// Prompts in 50 families that share their first half, as system prompts and documents do.
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

// Prompts that share nothing.
std::vector<PrefixKey> make_distinct(std::size_t count, std::uint64_t seed) {
  Rng rng{seed};
  std::vector<PrefixKey> prompts(count);
  for (PrefixKey& prompt : prompts) {
    for (std::size_t i = 0; i < kBlocks; ++i) prompt.hashes.push_back(rng.next());
    prompt.block_tokens = 64;
  }
  return prompts;
}

void report(benchmark::State& state, std::size_t blocks) {
  state.counters["blocks/s"] = benchmark::Counter(static_cast<double>(blocks), benchmark::Counter::kIsRate);
}

void report_memory(benchmark::State& state, const PrefixIndex& index) {
  const PrefixIndex::Stats stats = index.stats();
  state.counters["bytes_per_pair"] = static_cast<double>(stats.memory_bytes) / static_cast<double>(stats.entries);
  state.counters["pairs"] = static_cast<double>(stats.entries);
}

// As traffic is: families, each prompt sent to three endpoints.
void BM_PrefixMatch(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(static_cast<std::size_t>(state.range(0)));
  const std::vector<PrefixKey> prompts = make_prompts();
  Budget budget{"prefix", kAmple};
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
  report(state, blocks);
  state.counters["match_ratio"] =
      static_cast<double>(matched) / static_cast<double>(blocks);  // moves only if behaviour does
  report_memory(state, index);
}
BENCHMARK(BM_PrefixMatch)->Arg(10)->Arg(1'000)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

// 1,000 endpoints; every block is held by so many. With one, a million blocks: more than caches hold.
void BM_MatchHeldBy(benchmark::State& state) {
  const auto holders = static_cast<std::size_t>(state.range(0));
  const std::vector<EndpointState> pool = make_pool(1'000);
  const std::vector<PrefixKey> prompts = make_distinct(std::max<std::size_t>(16, 8'000 / holders), 3);
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  std::size_t next = 0;
  for (const PrefixKey& prompt : prompts) {
    for (std::size_t copy = 0; copy < holders; ++copy) index.insert(pool[next++ % 1'000].endpoint->name, prompt);
  }
  PrefixMatch match;
  std::size_t blocks = 0;
  std::size_t i = 0;
  for ([[maybe_unused]] auto step : state) {
    index.match(prompts[i++ % prompts.size()], pool, match);
    benchmark::DoNotOptimize(match.blocks.data());
    blocks += kBlocks;
  }
  report(state, blocks);
  report_memory(state, index);
}
BENCHMARK(BM_MatchHeldBy)
    ->Arg(1)
    ->Arg(2)
    ->Arg(16)
    ->Arg(1'000)
    ->Unit(benchmark::kMicrosecond)
    ->Repetitions(5)
    ->ReportAggregatesOnly();

// Prompts of which nobody has heard: one look-up each, and the answer for 10 endpoints.
void BM_MatchMiss(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(10);
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  for (const PrefixKey& prompt : make_distinct(2'000, 3)) index.insert(pool[0].endpoint->name, prompt);
  const std::vector<PrefixKey> unknown = make_distinct(2'000, 4);
  PrefixMatch match;
  std::size_t i = 0;
  for ([[maybe_unused]] auto step : state) {
    index.match(unknown[i++ % unknown.size()], pool, match);
    benchmark::DoNotOptimize(match.blocks.data());
  }
  report(state, i);
}
BENCHMARK(BM_MatchMiss)->Repetitions(5)->ReportAggregatesOnly();

// Prompts of families, each to a random endpoint: some blocks are known there, most are not; an endpoint forgets beyond
// its 31,250.
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
  report(state, blocks);
  report_memory(state, index);
}
BENCHMARK(BM_PrefixInsert)->Arg(10)->Arg(1'000)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

// New prompts into an index of so many MB, which is full: each block evicts another.
void BM_InsertNewWhenFull(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(1'000);
  Budget budget{"prefix", static_cast<std::size_t>(state.range(0)) << 20};
  PrefixIndex index{{}, budget};
  Rng rng{2};
  PrefixKey key{.hashes = std::vector<std::uint64_t>(kBlocks), .block_tokens = 64};
  const auto send = [&] {
    for (std::uint64_t& hash : key.hashes) hash = rng.next();
    index.insert(pool[rng.below(pool.size())].endpoint->name, key);
  };
  while (index.stats().evictions < 200'000) send();
  std::size_t blocks = 0;
  for ([[maybe_unused]] auto step : state) {
    send();
    blocks += kBlocks;
  }
  report(state, blocks);
  report_memory(state, index);
}
BENCHMARK(BM_InsertNewWhenFull)->Arg(4)->Arg(64)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

// The same prompts to the same endpoints again.
void BM_InsertKnown(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(100);
  const std::vector<PrefixKey> prompts = make_distinct(5'000, 3);
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  const auto send = [&](std::size_t i) { index.insert(pool[i % pool.size()].endpoint->name, prompts[i]); };
  for (std::size_t i = 0; i < prompts.size(); ++i) send(i);
  std::size_t i = 0;
  for ([[maybe_unused]] auto step : state) send(i++ % prompts.size());
  report(state, i * kBlocks);
}
BENCHMARK(BM_InsertKnown)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

// KV events: so many blocks stored in one event, and as many of the same endpoint removed, oldest first.
void BM_Events(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const std::vector<EndpointState> pool = make_pool(100);
  Budget budget{"prefix", kAmple};
  PrefixIndex index{{}, budget};
  Rng rng{2};
  std::vector<std::vector<std::uint64_t>> rings(pool.size(), std::vector<std::uint64_t>(8'192));
  for (std::size_t e = 0; e < pool.size(); ++e) {
    for (std::uint64_t& hash : rings[e]) hash = rng.next();
    index.insert(pool[e].endpoint->name, rings[e]);
  }
  std::size_t blocks = 0;
  std::size_t at = 0;
  for ([[maybe_unused]] auto step : state) {
    const std::size_t e = blocks / batch % pool.size();
    if (e == 0) at = (at + batch) % rings[0].size();
    const std::span<std::uint64_t> part = std::span{rings[e]}.subspan(at, batch);
    index.erase(pool[e].endpoint->name, part);
    for (std::uint64_t& hash : part) hash = rng.next();
    index.insert(pool[e].endpoint->name, part);
    blocks += batch;
  }
  report(state, 2 * blocks);
  report_memory(state, index);
}
BENCHMARK(BM_Events)->Arg(1)->Arg(16)->Repetitions(5)->ReportAggregatesOnly();

// A reader while another thread inserts prompts of 2,048 blocks without a pause: what does it wait?
void BM_MatchBesideAWriter(benchmark::State& state) {
  const std::vector<EndpointState> pool = make_pool(100);
  const std::vector<PrefixKey> prompts = make_prompts();
  Budget budget{"prefix", std::size_t{64} << 20};
  PrefixIndex index{{}, budget};
  for (std::size_t i = 0; i < prompts.size(); ++i) index.insert(pool[i % pool.size()].endpoint->name, prompts[i]);
  std::atomic<bool> done{false};
  std::atomic<std::size_t> written{0};
  std::jthread writer{[&] {
    Rng rng{2};
    PrefixKey key{.hashes = std::vector<std::uint64_t>(2'048), .block_tokens = 64};
    while (!done) {
      for (std::uint64_t& hash : key.hashes) hash = rng.next();
      index.insert(pool[rng.below(pool.size())].endpoint->name, key);
      written += key.hashes.size();
    }
  }};
  PrefixMatch match;
  std::vector<double> took;
  std::size_t i = 0;
  const auto start = std::chrono::steady_clock::now();
  for ([[maybe_unused]] auto step : state) {
    const auto before = std::chrono::steady_clock::now();
    index.match(prompts[i++ % prompts.size()], pool, match);
    took.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before).count());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  done = true;
  std::ranges::sort(took);
  report(state, i * kBlocks);
  state.counters["p50_us"] = took[took.size() / 2];
  state.counters["p99_us"] = took[took.size() * 99 / 100];
  state.counters["p999_us"] = took[took.size() * 999 / 1000];
  state.counters["written/s"] = static_cast<double>(written) / seconds;
}
BENCHMARK(BM_MatchBesideAWriter)->Unit(benchmark::kMicrosecond)->UseRealTime()->Repetitions(5)->ReportAggregatesOnly();

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
  report(state, blocks);
}
BENCHMARK(BM_NaiveMatch)->Arg(10)->Arg(1'000)->Unit(benchmark::kMicrosecond)->Repetitions(5)->ReportAggregatesOnly();

}  // namespace

BENCHMARK_MAIN();
