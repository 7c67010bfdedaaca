#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/openai/kv_transfer_params.h"
#include "apps/worker/kv_options.h"
#include "engine/engine.h"
#include "kvtransfer/block_client.h"
#include "kvtransfer/block_server.h"
#include "kvtransfer/transfer_metrics.h"
#include "net/client.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::worker {

/// What a request's blocks are named by.
struct KvPrompts {
  std::span<const std::vector<TokenId>> prompts;
  const std::string& cache_salt;
  const std::string& request_id;  // for logs
};

/// What came for a request from the worker that computed its prompts.
struct KvArrival {
  std::vector<kvstore::BlockHandle> pinned;  // all leading blocks that are here now, received or not
  std::uint64_t blocks = 0;                  // received
  std::uint64_t bytes = 0;
  std::uint64_t recomputed_tokens = 0;  // of blocks that were to come and did not
  std::optional<Error> error;           // the first reason why
};

/// Moves the blocks of prompts between this worker's prefix cache and others': keeps them for decode workers, and pulls
/// them from prefill workers. A failure never fails a request: what does not come is computed here. Belongs to one
/// loop.
class KvExchange {
 public:
  /// Lets go of every block.
  virtual ~KvExchange() = default;
  KvExchange(const KvExchange&) = delete;
  KvExchange& operator=(const KvExchange&) = delete;

  /// Pins the whole blocks of computed prompts under a lease: what the answer tells the decode worker. Nothing if there
  /// are none, or if they cannot be kept; the decode worker then computes the prompts.
  [[nodiscard]] std::optional<openai::KvTransferParams> keep(const KvPrompts& request);

  /// Pulls those blocks of the prompts that the cache lacks from where `params` says. `token` must outlive the task.
  [[nodiscard]] Task<KvArrival> receive(openai::KvTransferParams params, KvPrompts request, net::CancelToken& token);

  /// Finished prompts that wait for their decode worker.
  [[nodiscard]] std::size_t leases() const;

 protected:
  /// What travels.
  struct Wire {
    kvstore::BlockStore& store;     // where blocks arrive
    std::uint64_t block_bytes = 0;  // as they travel
    std::uint64_t leased_bytes_max = 0;
    kvtransfer::TransferMetrics& pulls;  // what the client counts
  };
  /// One prompt of a request for which blocks are to come.
  struct Wanted {
    kvtransfer::PullRequest pull;  // of no blocks yet
    const std::vector<TokenId>& prompt;
    const std::string& cache_salt;
    std::vector<BlockId> chain;  // that it can use
  };

  KvExchange(const KvSetup& setup, Engine& engine, MetricsRegistry& registry, std::size_t counted_block_bytes = 0);
  /// Errors of the listener.
  [[nodiscard]] Result<void> open(Loop& loop, const KvSetup& setup, const Wire& wire);

  /// Ends pulls and leases, for whose store a derived class answers.
  void close() noexcept;

  [[nodiscard]] Engine& engine() noexcept { return engine_; }
  [[nodiscard]] kvtransfer::TransferMetrics& metrics() noexcept { return metrics_; }
  /// Pre: open() was called.
  [[nodiscard]] kvtransfer::BlockClient& client() noexcept { return *client_; }

 private:
  [[nodiscard]] std::vector<BlockId> usable_blocks(const std::vector<TokenId>& prompt,
                                                   const std::string& cache_salt) const;
  /// Handles on the leading blocks of a chain that the cache has.
  [[nodiscard]] virtual std::vector<kvstore::BlockHandle> leading_blocks(const std::vector<BlockId>& chain) = 0;
  /// Brings what the cache lacks of `wanted.chain`, and adds to `arrival` what came and what is missing.
  [[nodiscard]] virtual Task<std::optional<Error>> pull(Wanted wanted, KvArrival* arrival) = 0;

  Engine& engine_;
  kvtransfer::TransferMetrics metrics_;
  const std::chrono::milliseconds pull_timeout_;
  const std::string advertised_host_;
  std::string engine_id_;  // of this process: tells routers and logs apart
  std::unique_ptr<kvtransfer::BlockServer> server_;
  std::unique_ptr<kvtransfer::BlockClient> client_;  // null if the model is served without block reuse
};

/// Errors of the listener. Engine and registry must outlive it.
[[nodiscard]] Result<std::unique_ptr<KvExchange>> make_kv_exchange(Loop& loop, const KvSetup& setup, Engine& engine,
                                                                   MetricsRegistry& registry);

}  // namespace llmd::worker
