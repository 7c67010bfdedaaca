#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "kvtransfer/testing/peers.h"
#include "telemetry/metrics.h"

namespace llmd::kvtransfer {
namespace {

using testkit::content;
using testkit::identity;
using testkit::kBlockBytes;
using testkit::name;
using testkit::names;
using testkit::run_task;
using testkit::run_until;
using testkit::SocketFolder;
using testkit::Store;
using testkit::tcp_address;

enum class Transport : std::uint8_t { kUnix, kTcp };

/// A holder and a puller on one loop, over a real socket.
class BlockTransfer : public testing::TestWithParam<Transport> {
 protected:
  BlockServerOptions server_options() const {
    BlockServerOptions options;
    options.listen = GetParam() == Transport::kUnix ? folder_.address("kv") : tcp_address();
    options.identity = identity();
    options.leases = {.leases_max = 16, .bytes_max = 10'000 * kBlockBytes, .id_seed = 5};
    return options;
  }
  void start_server(BlockServerOptions options) { server_ = *BlockServer::listen(loop_, std::move(options), metrics_); }
  BlockClientOptions client_options() const {
    const std::vector<std::string> peers{"127.0.0.1", folder_.entry()};
    return {.identity = identity(), .peers = *PeerList::parse(peers)};
  }
  void start_client(BlockClientOptions options) {
    client_ = std::make_unique<BlockClient>(loop_, std::move(options), puller_.store, metrics_);
  }
  void start() {
    start_server(server_options());
    start_client(client_options());
  }
  PullRequest request(LeaseId lease, std::vector<BlockId> ids) const {
    return {.peer = server_->address(),
            .lease = lease,
            .ids = std::move(ids),
            .parent = std::nullopt,
            .deadline = SteadyClock::now() + seconds{10}};
  }
  PullResult pull(PullRequest request) {
    PullResult result;
    auto task = [](BlockClient* client, PullRequest what, PullResult* into) -> Task<void> {
      *into = co_await client->pull(std::move(what));
    };
    run_task(loop_, task(client_.get(), std::move(request), &result));
    return result;
  }
  double metric(const std::string& family, const std::string& label) {
    for (const auto& entry : registry_.collect()) {
      if (entry.name != family) continue;
      for (const auto& series : entry.series) {
        if (!series.labels.empty() && series.labels.front().second != label) continue;
        return series.counter != nullptr ? series.counter->value() : series.gauge->value();
      }
    }
    return 0;
  }

  SocketFolder folder_;
  MetricsRegistry registry_;
  TransferMetrics metrics_{registry_};
  Loop loop_{"kv-test"};
  Store holder_;
  Store puller_;
  std::unique_ptr<BlockServer> server_;
  std::unique_ptr<BlockClient> client_;
};

INSTANTIATE_TEST_SUITE_P(Transports, BlockTransfer, testing::Values(Transport::kUnix, Transport::kTcp),
                         [](const auto& instance) { return instance.param == Transport::kUnix ? "Unix" : "Tcp"; });

TEST_P(BlockTransfer, AConnectionThatTheLoopDiscardsIsForgotten) {
  start();
  const auto granted = server_->grant(holder_.fill(1, 3));
  ASSERT_TRUE(granted.has_value());
  ASSERT_FALSE(pull(request(*granted, names(1, 3))).error.has_value());
  ASSERT_EQ(server_->connections(), 1U) << "the puller keeps it for the next pull";
  loop_.discard();
  EXPECT_EQ(server_->connections(), 0U);
  server_.reset();  // closes the connections that it still knows
}

TEST_P(BlockTransfer, MovesAllBlocksAndEndsTheLease) {
  start();
  for (const std::size_t count : {1U, 4U, 9U, 200U}) {
    const std::uint64_t first = 1'000 * count;
    const LeaseId lease = *server_->grant(holder_.fill(first, count));
    EXPECT_EQ(metric("llmd_kv_leases", ""), 1);
    const PullResult result = pull(request(lease, names(first, count)));
    ASSERT_FALSE(result.error.has_value()) << result.error->to_string();
    EXPECT_EQ(result.blocks.size(), count);
    EXPECT_EQ(result.blocks_received, count);
    EXPECT_EQ(result.bytes_received, count * kBlockBytes);
    EXPECT_TRUE(puller_.holds(first, count)) << count;
    run_until(loop_, [&] { return server_->leases().leases == 0; });
  }
  EXPECT_EQ(metric("llmd_kv_received_bytes_total", ""), 214 * kBlockBytes);
  EXPECT_EQ(metric("llmd_kv_sent_blocks_total", ""), 214);
  EXPECT_EQ(client_->idle_links(), 1U) << "one link serves all pulls";
  EXPECT_EQ(metric("llmd_kv_leases", ""), 0);
}

TEST_P(BlockTransfer, PullsOnlyTheTailThatIsAskedFor) {
  start();
  const LeaseId lease = *server_->grant(holder_.fill(1, 10));
  const auto held = puller_.fill(1, 4);
  PullRequest tail = request(lease, names(5, 6));
  tail.parent = name(4);
  const PullResult result = pull(std::move(tail));
  ASSERT_FALSE(result.error.has_value()) << result.error->to_string();
  EXPECT_EQ(result.blocks_received, 6U);
  EXPECT_TRUE(puller_.holds(1, 10));
}

TEST_P(BlockTransfer, CountsBlocksThatArrivedMeanwhileAsHeldAndNotAsReceived) {
  start();
  const LeaseId lease = *server_->grant(holder_.fill(1, 5));
  const auto held = puller_.fill(1, 3);
  const PullResult result = pull(request(lease, names(1, 5)));
  ASSERT_FALSE(result.error.has_value()) << result.error->to_string();
  EXPECT_EQ(result.blocks.size(), 5U);
  EXPECT_EQ(result.blocks_received, 2U);
}

TEST_P(BlockTransfer, EndsALeaseOfWhichNothingIsNeeded) {
  start();
  const LeaseId lease = *server_->grant(holder_.fill(1, 5));
  EXPECT_FALSE(pull(request(lease, {})).error.has_value());
  run_until(loop_, [&] { return server_->leases().leases == 0; });
  EXPECT_EQ(puller_.store.stats().blocks, 0U);
}

TEST_P(BlockTransfer, KeepsTheLeaseUntilTheLastOfSeveralPulls) {
  start();
  const LeaseId lease = *server_->grant(holder_.fill(1, 8));
  PullRequest first = request(lease, names(1, 4));
  first.last = false;
  EXPECT_FALSE(pull(std::move(first)).error.has_value());
  EXPECT_EQ(server_->leases().leases, 1U);
  PullRequest second = request(lease, names(5, 4));
  second.parent = name(4);
  EXPECT_FALSE(pull(std::move(second)).error.has_value());
  run_until(loop_, [&] { return server_->leases().leases == 0; });
}

TEST_P(BlockTransfer, GoesThroughTheSocketIfTheStoreCannotBeShared) {
  start();
  Store closed{1'000, kBlockBytes, /*shareable=*/false};
  const LeaseId lease = *server_->grant(closed.fill(1, 100));
  const PullResult result = pull(request(lease, names(1, 100)));
  ASSERT_FALSE(result.error.has_value()) << result.error->to_string();
  EXPECT_TRUE(puller_.holds(1, 100));
  server_.reset();  // its handles must not outlive the store's budget
}

TEST_P(BlockTransfer, NeverTakesABlockThatChangedInTheHoldersMemory) {
  start();
  auto blocks = holder_.fill(1, 3);
  const LeaseId lease = *server_->grant(blocks);
  const std::span<const std::byte> second = blocks[1].handle.bytes();
  const_cast<std::byte&>(second[7]) ^= std::byte{1};
  const PullResult result = pull(request(lease, names(1, 3)));
  EXPECT_EQ(result.error.value().code, ErrorCode::kBlockMismatch);
  EXPECT_EQ(result.blocks.size(), 1U);
  EXPECT_TRUE(puller_.holds(1, 1));
}

TEST_P(BlockTransfer, KeepsLeadingBlocksWhenTheHolderLacksTheRest) {
  start();
  const LeaseId lease = *server_->grant(holder_.fill(1, 5));
  const PullResult result = pull(request(lease, names(1, 7)));
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, ErrorCode::kBlockMismatch);
  EXPECT_EQ(result.blocks_received, 5U);
  EXPECT_TRUE(puller_.holds(1, 5));
  EXPECT_EQ(client_->idle_links(), 0U) << "a link whose state is unknown is not kept";
  EXPECT_EQ(metric("llmd_kv_transfer_failures_total", "block_mismatch"), 1);
}

TEST_P(BlockTransfer, SaysThatALeaseExpiredAndKeepsTheLink) {
  BlockServerOptions options = server_options();
  options.lease_time = milliseconds{5};
  start_server(std::move(options));
  start_client(client_options());
  const LeaseId lease = *server_->grant(holder_.fill(1, 5));
  run_until(loop_, [&] { return server_->leases().expired == 1; });
  EXPECT_EQ(metric("llmd_kv_leases_expired_total", ""), 1);
  EXPECT_EQ(holder_.store.stats().pinned_blocks, 0U);
  EXPECT_EQ(pull(request(lease, names(1, 5))).error.value().code, ErrorCode::kLeaseExpired);
  EXPECT_EQ(pull(request(LeaseId{99}, names(1, 5))).error.value().code, ErrorCode::kLeaseExpired);
}

TEST_P(BlockTransfer, RefusesAWorkerOfAnotherModel) {
  const struct {
    std::string name;
    Hello theirs;
  } cases[] = {
      {"fingerprint",
       {.model_fingerprint = name(78).bytes, .block_tokens = testkit::kBlockTokens, .block_bytes = kBlockBytes}},
      {"tokens a block", {.model_fingerprint = name(77).bytes, .block_tokens = 16, .block_bytes = kBlockBytes}},
  };
  for (const auto& row : cases) {
    BlockServerOptions options = server_options();
    options.identity = row.theirs;
    start_server(std::move(options));
    start_client(client_options());
    const LeaseId lease = *server_->grant(holder_.fill(1, 2));
    const PullResult result = pull(request(lease, names(1, 2)));
    ASSERT_TRUE(result.error.has_value()) << row.name;
    EXPECT_EQ(result.error->code, ErrorCode::kBlockMismatch) << row.name;
    EXPECT_EQ(puller_.store.stats().blocks, 0U) << row.name;
    server_.reset();
  }
}

TEST_P(BlockTransfer, DoesNotConnectToAPeerThatIsNotAllowed) {
  start_server(server_options());
  BlockClientOptions options = client_options();
  options.peers = {};
  start_client(std::move(options));
  const LeaseId lease = *server_->grant(holder_.fill(1, 2));
  EXPECT_EQ(pull(request(lease, names(1, 2))).error.value().code, ErrorCode::kPeerNotAllowed);
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_P(BlockTransfer, SaysThatNobodyListens) {
  start();
  PullRequest wanted = request(LeaseId{1}, names(1, 2));
  server_.reset();
  EXPECT_EQ(pull(std::move(wanted)).error.value().code, ErrorCode::kConnectionRefused);
}

TEST_P(BlockTransfer, ReplacesALinkThatTheHolderClosed) {
  start();
  EXPECT_FALSE(pull(request(*server_->grant(holder_.fill(1, 3)), names(1, 3))).error.has_value());
  ASSERT_EQ(client_->idle_links(), 1U);
  BlockServerOptions options = server_options();
  options.listen = server_->address();
  server_.reset();
  run_task(loop_, sleep_for(milliseconds{1}));  // the connection's coroutine sees it
  start_server(std::move(options));
  EXPECT_FALSE(pull(request(*server_->grant(holder_.fill(11, 3)), names(11, 3))).error.has_value());
  EXPECT_TRUE(puller_.holds(11, 3));
}

TEST_P(BlockTransfer, StopsAtAStoreFullOfPinnedBlocks) {
  start();
  const auto pinned = puller_.fill(5'000, 990);
  const LeaseId lease = *server_->grant(holder_.fill(1, 50));
  const PullResult result = pull(request(lease, names(1, 50)));
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->code, ErrorCode::kBudgetExhausted);
  EXPECT_GT(result.blocks.size(), 0U);
  EXPECT_TRUE(puller_.holds(1, result.blocks.size()));
  EXPECT_TRUE(puller_.store.check_integrity());
}

TEST_P(BlockTransfer, RefusesConnectionsBeyondItsLimit) {
  BlockServerOptions options = server_options();
  options.connections_max = 0;
  start_server(std::move(options));
  start_client(client_options());
  const ErrorCode code = pull(request(LeaseId{1}, names(1, 2))).error.value().code;
  // The refusal may be lost if this side writes to the closed connection first.
  EXPECT_TRUE(code == ErrorCode::kOverloaded || code == ErrorCode::kConnectionClosed);
  EXPECT_EQ(metric("llmd_kv_transfer_failures_total", "overloaded") >= 1, true);
}

/// Starts `count` pulls at once, and returns their results when all have ended.
std::vector<PullResult> pull_all(Loop& loop, BlockClient& client, const std::vector<PullRequest>& requests) {
  std::vector<PullResult> results(requests.size());
  std::size_t done = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto task = [](BlockClient* from, PullRequest what, PullResult* into, std::size_t* count) -> Task<void> {
      *into = co_await from->pull(std::move(what));
      ++*count;
    };
    loop.spawn(task(&client, requests[i], &results[i], &done));
  }
  run_until(loop, [&] { return done == results.size(); });
  return results;
}

TEST_P(BlockTransfer, LetsPullsWaitForTheirTurn) {
  start_server(server_options());
  BlockClientOptions options = client_options();
  options.pulls_max = 2;
  options.waiting_max = 6;
  start_client(std::move(options));
  std::vector<PullRequest> requests;
  for (std::uint64_t i = 0; i < 9; ++i) {
    requests.push_back(request(*server_->grant(holder_.fill(100 * i + 1, 20)), names(100 * i + 1, 20)));
  }
  const auto results = pull_all(loop_, *client_, requests);
  std::size_t refused = 0;
  for (const PullResult& result : results) {
    if (!result.error) continue;
    EXPECT_EQ(result.error->code, ErrorCode::kOverloaded);
    ++refused;
  }
  EXPECT_EQ(refused, 1U) << "two run, six wait, the ninth is refused";
  EXPECT_LE(client_->idle_links(), 2U);
  EXPECT_EQ(client_->pulls(), 0U);
}

TEST_P(BlockTransfer, EndsPullsAtOnceWhenTheirTokenIsCancelled) {
  start_server(server_options());
  BlockClientOptions options = client_options();
  options.pulls_max = 1;
  start_client(std::move(options));
  net::CancelToken token;
  std::vector<PullRequest> requests;
  for (std::uint64_t i = 0; i < 3; ++i) {
    requests.push_back(request(*server_->grant(holder_.fill(1'000 * i + 1, 300)), names(1'000 * i + 1, 300)));
    requests.back().token = &token;
  }
  loop_.post([&] { loop_.post([&] { token.cancel(); }); });
  for (const PullResult& result : pull_all(loop_, *client_, requests)) {
    EXPECT_EQ(result.error.value().code, ErrorCode::kCancelled);
    EXPECT_TRUE(result.blocks.empty());
  }
  EXPECT_EQ(puller_.store.stats().pinned_blocks, 0U);
  EXPECT_TRUE(puller_.store.check_integrity());
}

TEST_P(BlockTransfer, LeavesNoHandleBehindWhenEitherSideIsDestroyedInTheMiddle) {
  for (const bool holder_goes : {true, false}) {
    start();
    const std::uint64_t first = holder_goes ? 1 : 5'001;
    PullRequest wanted = request(*server_->grant(holder_.fill(first, 400)), names(first, 400));
    std::optional<PullResult> result;
    auto task = [](BlockClient* client, PullRequest what, std::optional<PullResult>* into) -> Task<void> {
      *into = co_await client->pull(std::move(what));
    };
    loop_.spawn(task(client_.get(), std::move(wanted), &result));
    const std::size_t before = puller_.store.stats().blocks;
    run_until(loop_, [&] { return puller_.store.stats().blocks > before + 5; });
    ASSERT_FALSE(result.has_value()) << "the pull must still be on its way";
    if (holder_goes) {
      server_.reset();
      EXPECT_EQ(holder_.store.stats().pinned_blocks, 0U);
    } else {
      client_.reset();
      EXPECT_EQ(puller_.store.stats().pinned_blocks, 0U);
    }
    run_until(loop_, [&] { return result.has_value(); });
    if (result->error) {
      EXPECT_EQ(result->error->code, holder_goes ? ErrorCode::kConnectionClosed : ErrorCode::kCancelled);
    } else {
      EXPECT_TRUE(holder_goes && puller_.holds(first, 400)) << "all had been sent before the holder went";
    }
    result.reset();
    EXPECT_TRUE(puller_.store.check_integrity());
  }
}

TEST_P(BlockTransfer, ServesAPullerOnAnotherThread) {
  start_server(server_options());
  std::vector<PullRequest> requests;
  for (std::uint64_t i = 0; i < 8; ++i) {
    requests.push_back(request(*server_->grant(holder_.fill(100 * i + 1, 40)), names(100 * i + 1, 40)));
  }
  Loop other{"kv-puller"};
  std::jthread thread{[&] {
    auto client = std::make_unique<BlockClient>(other, client_options(), puller_.store, metrics_);
    for (const PullResult& result : pull_all(other, *client, requests)) {
      EXPECT_FALSE(result.error.has_value()) << result.error->to_string();
    }
  }};
  run_until(loop_, [&] { return server_->leases().released == requests.size(); });
  thread.join();
  EXPECT_TRUE(puller_.holds(701, 40));
}

}  // namespace
}  // namespace llmd::kvtransfer
