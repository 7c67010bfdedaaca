// links: llmd_kvtransfer
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "kvtransfer/block_client.h"
#include "kvtransfer/block_server.h"
#include "kvtransfer/checked_copy.h"
#include "telemetry/metrics.h"

namespace llmd::kvtransfer {
namespace {

// Question: what share of memcpy's bandwidth does a prompt's KV reach from one worker's store into another's on one
// host? The number that matters: bytes_per_second of BM_PullUnix against BM_Memcpy; wanted 50 % or more. Baseline: one
// memcpy of the same blocks. Estimate: the puller makes one pass (copy and hash) straight from the holder's memory, 65
// %, and some 50 messages cost 0.2 of 1.3 ms: 58 %. TCP adds two copies by the kernel and a pass for the checksum: 20
// %.
constexpr std::size_t kBlockBytes = 30UL * 3 * 64 * 2 * 2 * 32;  // SmolLM2-135M, 32 tokens, f16
constexpr std::size_t kBlocks = 47;                              // a prompt of 1,500 tokens

BlockId name(std::uint64_t number) {
  BlockId id;
  const std::uint64_t mixed = Rng{number}.next();
  std::memcpy(id.bytes.data(), &mixed, sizeof mixed);
  return id;
}

std::vector<std::vector<std::byte>> blocks_of(std::byte value) {
  return std::vector(kBlocks, std::vector<std::byte>(kBlockBytes, value));
}

void BM_Memcpy(benchmark::State& state) {
  const auto from = blocks_of(std::byte{7});
  auto to = blocks_of(std::byte{1});
  for ([[maybe_unused]] auto turn : state) {
    for (std::size_t i = 0; i < kBlocks; ++i) std::memcpy(to[i].data(), from[i].data(), kBlockBytes);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kBlocks * kBlockBytes));
}
BENCHMARK(BM_Memcpy)->UseRealTime();

void BM_CheckedCopy(benchmark::State& state) {
  const auto from = blocks_of(std::byte{7});
  auto to = blocks_of(std::byte{1});
  for ([[maybe_unused]] auto turn : state) {
    for (std::size_t i = 0; i < kBlocks; ++i) benchmark::DoNotOptimize(checked_copy(from[i], to[i]));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kBlocks * kBlockBytes));
}
BENCHMARK(BM_CheckedCopy)->UseRealTime();

/// A holder on a thread of its own, as in another process but for the page tables.
class Holder {
 public:
  explicit Holder(const net::Address& listen) : loop_{"kv-holder"}, metrics_{registry_} {
    for (std::uint64_t i = 0; i < kBlocks; ++i) {
      const auto parent = i == 0 ? std::nullopt : std::optional{name(i - 1)};
      benchmark::DoNotOptimize(store_.put(name(i), parent, std::vector(kBlockBytes, std::byte(i))).has_value());
      blocks_.push_back({name(i), store_.get(name(i))});
    }
    BlockServerOptions options;
    options.listen = listen;
    options.identity = identity();
    options.leases = {.bytes_max = std::size_t{1} << 40U, .id_seed = 1};
    options.lease_time = seconds{3'600};
    server_ = *BlockServer::listen(loop_, std::move(options), metrics_);
    lease_ = *server_->grant(blocks_);
    thread_ = std::jthread{[this] { loop_.run(); }};
  }
  ~Holder() {
    loop_.stop();
    thread_.join();
  }
  static Hello identity() {
    return {.model_fingerprint = {}, .block_tokens = 32, .block_bytes = kBlockBytes, .shared_memory = true};
  }
  [[nodiscard]] const net::Address& address() const { return server_->address(); }
  [[nodiscard]] LeaseId lease() const { return lease_; }

 private:
  Budget budget_{"holder", (kBlocks + 24) * kBlockBytes};
  kvstore::BlockStore store_{{.block_bytes = kBlockBytes, .shareable = true}, budget_};
  Loop loop_;
  MetricsRegistry registry_;
  TransferMetrics metrics_;
  std::vector<LeasedBlock> blocks_;
  std::unique_ptr<BlockServer> server_;
  LeaseId lease_;
  std::jthread thread_;
};

Task<void> pull_for(benchmark::State* state, Loop* loop, BlockClient* client, const Holder* holder,
                    kvstore::BlockStore* store) {
  PullRequest request{.peer = holder->address(), .lease = holder->lease(), .ids = {}, .parent = {}, .last = false};
  for (std::uint64_t i = 0; i < kBlocks; ++i) request.ids.push_back(name(i));
  std::size_t received = 0;
  for ([[maybe_unused]] auto turn : *state) {
    request.deadline = SteadyClock::now() + seconds{10};
    PullResult result = co_await client->pull(request);
    if (result.error) state->SkipWithError(result.error->what.c_str());
    received += result.bytes_received;
    result.blocks.clear();
    state->PauseTiming();
    store->clear();  // its spare slab stays mapped, as in a store in use
    state->ResumeTiming();
  }
  state->SetBytesProcessed(static_cast<std::int64_t>(received));
  loop->context().stop();
}

void pull_all(benchmark::State& state, const net::Address& listen) {
  const Holder holder{listen};
  Loop loop{"kv-puller"};
  MetricsRegistry registry;
  TransferMetrics metrics{registry};
  Budget budget{"puller", (kBlocks + 24) * kBlockBytes};
  // One slab for all, so that no turn waits for fresh pages.
  kvstore::BlockStore store{{.block_bytes = kBlockBytes, .slab_bytes = (kBlocks + 1) * kBlockBytes}, budget};
  const auto first = store.reserve(name(99), std::nullopt);  // keeps the slab
  const std::vector<std::string> peers{"127.0.0.1", "unix:" + std::filesystem::temp_directory_path().string() + "/"};
  BlockClient client{loop, {.identity = Holder::identity(), .peers = *PeerList::parse(peers)}, store, metrics};
  loop.spawn(pull_for(&state, &loop, &client, &holder, &store));
  loop.run();
}

void BM_PullUnix(benchmark::State& state) {
  const std::string path = std::filesystem::temp_directory_path() / ("llmd-bench-" + std::to_string(::getpid()));
  pull_all(state, {.host = {}, .port = 0, .unix_path = path});
}
BENCHMARK(BM_PullUnix)->UseRealTime();

void BM_PullTcp(benchmark::State& state) { pull_all(state, {.host = "127.0.0.1", .port = 0, .unix_path = {}}); }
BENCHMARK(BM_PullTcp)->UseRealTime();

}  // namespace
}  // namespace llmd::kvtransfer

BENCHMARK_MAIN();
