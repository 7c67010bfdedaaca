// links: llmd_kvstore
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "kvstore/block_store.h"

namespace llmd::kvstore {
namespace {

// Question: does one mutex for the index cost the engine or a transfer anything beside the copying of 737 kB blocks?
// The number that matters: block_bandwidth of store and get, against memcpy. Baseline: BM_Memcpy. Estimate: 0.1 us a
// call and 60 us a copy, so below 1 %.
constexpr std::size_t kBlockBytes = 30UL * 3 * 64 * 2 * 2 * 32;  // SmolLM2-135M, 32 tokens, f16
constexpr std::size_t kCapacity = 64;

BlockId name(std::uint64_t number) {
  BlockId id;
  Rng rng{number};
  const std::uint64_t mixed = rng.next();
  std::memcpy(id.bytes.data(), &mixed, sizeof mixed);
  return id;
}

struct Fixture {
  Budget budget{"kv_store", kCapacity*(kBlockBytes + 4'096)};
  BlockStore store{{.block_bytes = kBlockBytes}, budget};
  std::vector<std::byte> block = std::vector<std::byte>(kBlockBytes, std::byte{7});
  std::vector<BlockId> chain;

  Fixture() {
    for (std::uint64_t i = 0; i < kCapacity / 2; ++i) {
      chain.push_back(name(i));
      const auto parent = i == 0 ? std::nullopt : std::optional{chain[i - 1]};
      benchmark::DoNotOptimize(store.put(chain[i], parent, block).has_value());
    }
  }
};

void BM_Memcpy(benchmark::State& state) {
  std::vector<std::vector<std::byte>> blocks(kCapacity, std::vector<std::byte>(kBlockBytes, std::byte{1}));
  const std::vector<std::byte> source(kBlockBytes, std::byte{7});
  for (std::size_t i = 0; auto _ : state) {
    std::memcpy(blocks[i++ % kCapacity].data(), source.data(), kBlockBytes);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kBlockBytes));
}
BENCHMARK(BM_Memcpy);

/// Each put evicts a block and takes its buffer; the other thread, if any, reads a pinned chain without a pause.
void BM_Put(benchmark::State& state) {
  Fixture fixture;
  std::atomic<bool> stop{false};
  std::unique_ptr<std::jthread> reader;
  if (state.range(0) == 1) {
    reader = std::make_unique<std::jthread>([&] {
      std::vector<std::byte> out(kBlockBytes);
      while (!stop) {
        for (const auto& handle : fixture.store.get_leading(fixture.chain)) {
          std::memcpy(out.data(), handle.bytes().data(), out.size());
        }
      }
    });
  }
  std::uint64_t number = 1'000, stored = 0;
  for (auto _ : state) {
    stored += fixture.store.put(name(number++), std::nullopt, fixture.block).value() == PutOutcome::kStored ? 1 : 0;
  }
  stop = true;
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kBlockBytes));
  state.counters["stored_share"] = static_cast<double>(stored) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_Put)->Arg(0)->Arg(1)->UseRealTime();

void BM_PutOfWhatIsHeld(benchmark::State& state) {
  Fixture fixture;
  for (std::size_t i = 0; auto _ : state) {
    const std::size_t at = 1 + i++ % (fixture.chain.size() - 1);
    benchmark::DoNotOptimize(fixture.store.reserve(fixture.chain[at], fixture.chain[at - 1]).outcome());
  }
}
BENCHMARK(BM_PutOfWhatIsHeld);

void BM_MatchAndPinAChain(benchmark::State& state) {
  Fixture fixture;
  std::size_t matched = 0;
  for (auto _ : state) {
    matched += fixture.store.match(fixture.chain);
    benchmark::DoNotOptimize(fixture.store.get_leading(fixture.chain));
  }
  state.counters["matched"] = static_cast<double>(matched) / static_cast<double>(state.iterations());
  state.SetItemsProcessed(static_cast<std::int64_t>(matched));
}
BENCHMARK(BM_MatchAndPinAChain);

}  // namespace
}  // namespace llmd::kvstore

BENCHMARK_MAIN();
