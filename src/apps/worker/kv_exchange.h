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

/// Moves the blocks of prompts between this worker's store and others': keeps them for decode workers, and pulls them
/// from prefill workers. A failure never fails a request: what does not come is computed here. Belongs to one loop.
class KvExchange {
 public:
  /// Errors of the listener. Engine and registry must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<KvExchange>> make(Loop& loop, const KvSetup& setup, Engine& engine,
                                                                MetricsRegistry& registry);
  /// Lets go of every block.
  ~KvExchange() = default;
  KvExchange(const KvExchange&) = delete;
  KvExchange& operator=(const KvExchange&) = delete;

  /// Pins the whole blocks of computed prompts under a lease: what the answer tells the decode worker. Nothing if there
  /// are none, or if they cannot be kept; the decode worker then computes the prompts.
  [[nodiscard]] std::optional<openai::KvTransferParams> keep(const KvPrompts& request);

  /// Pulls those blocks of the prompts that the store lacks from where `params` says. `token` must outlive the task.
  [[nodiscard]] Task<KvArrival> receive(openai::KvTransferParams params, KvPrompts request, net::CancelToken& token);

  /// Finished prompts that wait for their decode worker.
  [[nodiscard]] std::size_t leases() const;

 private:
  KvExchange(const KvSetup& setup, Engine& engine, MetricsRegistry& registry);
  [[nodiscard]] Result<void> open(Loop& loop, const KvSetup& setup);
  [[nodiscard]] std::vector<BlockId> usable_blocks(const std::vector<TokenId>& prompt,
                                                   const std::string& cache_salt) const;
  [[nodiscard]] Task<std::optional<Error>> pull(kvtransfer::PullRequest request, std::vector<BlockId> chain,
                                                KvArrival* arrival);

  Engine& engine_;
  kvtransfer::TransferMetrics metrics_;
  const std::chrono::milliseconds pull_timeout_;
  const std::string advertised_host_;
  std::string engine_id_;  // of this process: tells routers and logs apart
  std::unique_ptr<kvtransfer::BlockServer> server_;
  std::unique_ptr<kvtransfer::BlockClient> client_;  // null if the model is served without block reuse
};

}  // namespace llmd::worker
