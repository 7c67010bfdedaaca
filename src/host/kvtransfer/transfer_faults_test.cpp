#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "kvtransfer/shared_memory.h"
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
using testkit::ScriptedListener;
using testkit::SocketFolder;
using testkit::Store;
using testkit::tcp_address;

/// What a holder made by hand says, and how.
struct Script {
  Hello hello = identity();
  bool shared = false;            // give shared memory
  bool pass_fd = true;            // with its announcement
  bool sealed = true;             // so that it cannot shrink
  std::uint64_t wrong_name = 0;   // of the block with this number, from 1 on
  std::uint64_t wrong_bytes = 0;  // the same
  std::uint64_t silent_at = 0;    // says nothing from this block on
  bool no_end = false;            // instead of the end another reply
};

kvstore::FileDescriptor growing_memory() {
  kvstore::FileDescriptor fd{::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  EXPECT_EQ(::ftruncate(fd.get(), 16 * kBlockBytes), 0);
  return fd;
}

Task<Result<void>> hold(Loop* loop, std::unique_ptr<net::Socket> socket, Script script) {
  WireConnection connection{*loop, std::move(*socket), {.side = WireSide::kHolder, .block_bytes = kBlockBytes}};
  LLMD_CO_TRY(const Message hello, co_await connection.next());
  script.hello.shared_memory = script.shared;
  LLMD_CO_TRY_VOID(co_await connection.send(script.hello));
  LLMD_CO_TRY(const kvstore::SharedMemory memory, kvstore::SharedMemory::make(16 * kBlockBytes));
  const kvstore::FileDescriptor unsealed = growing_memory();
  bool passed = false;
  std::uint64_t number = 0;  // of the block, over all requests
  while (true) {
    LLMD_CO_TRY(const Message message, co_await connection.next());
    const auto* request = std::get_if<BlockRequest>(&message);
    if (request == nullptr) co_return Result<void>{};
    if (script.shared && !std::exchange(passed, true)) {
      const int fd = script.sealed ? memory.fd() : unsealed.get();
      const SharedMemory announcement{.memory = 0, .bytes = 16 * kBlockBytes};
      LLMD_CO_TRY_VOID(co_await connection.send(announcement, script.pass_fd ? fd : -1));
    }
    for (std::uint32_t i = 0; i < request->ids.size(); ++i) {
      ++number;
      if (script.silent_at == number) co_await sleep_for(seconds{30});
      auto bytes = content(number);
      BlockReply reply{.index = i, .id = request->ids[i], .bytes = kBlockBytes, .checksum = checksum64(bytes)};
      if (script.wrong_name == number) reply.id = name(999);
      if (script.wrong_bytes == number) bytes[kBlockBytes / 2] ^= std::byte{1};
      if (script.shared) {
        reply.placement = Placement::kShared;
        reply.offset = (number % 8) * kBlockBytes;
        std::ranges::copy(bytes, memory.bytes().subspan(reply.offset).begin());
        LLMD_CO_TRY_VOID(co_await connection.send(reply));
      } else {
        LLMD_CO_TRY_VOID(co_await connection.send_with_payload(reply, bytes));
      }
    }
    const auto count = static_cast<std::uint32_t>(request->ids.size());
    LLMD_CO_TRY_VOID(co_await connection.send(RequestEnd{script.no_end ? count - 1 : count}));
  }
}

class TransferFaults : public testing::Test {
 protected:
  void start_client() {
    const std::vector<std::string> peers{"127.0.0.1", folder_.entry()};
    client_ = std::make_unique<BlockClient>(
        loop_, BlockClientOptions{.identity = identity(), .peers = *PeerList::parse(peers)}, puller_.store, metrics_);
  }
  PullRequest request(const net::Address& peer, Duration limit = seconds{10}) const {
    return {.peer = peer,
            .lease = LeaseId{1},
            .ids = names(1, 4),
            .parent = std::nullopt,
            .deadline = SteadyClock::now() + limit};
  }
  PullResult pull(PullRequest request) {
    PullResult result;
    auto task = [](BlockClient* client, PullRequest what, PullResult* into) -> Task<void> {
      *into = co_await client->pull(std::move(what));
    };
    run_task(loop_, task(client_.get(), std::move(request), &result));
    return result;
  }
  /// Pulls four blocks from a holder that follows the script.
  PullResult pull_from(Script script, Duration limit = seconds{10}) {
    ScriptedListener listener{loop_, script.shared ? folder_.address("scripted") : tcp_address()};
    auto serve = [](Loop* loop, ScriptedListener* from, Script how) -> Task<void> {
      auto socket = co_await from->accept();
      if (socket) [[maybe_unused]]
        const Result<void> ended = co_await hold(loop, std::move(socket), how);
    };
    loop_.spawn(serve(&loop_, &listener, script));
    puller_.store.clear();
    return pull(request(listener.address(), limit));
  }

  SocketFolder folder_;
  MetricsRegistry registry_;
  TransferMetrics metrics_{registry_};
  Loop loop_{"kv-test"};
  Store puller_;
  std::unique_ptr<BlockClient> client_;
};

TEST_F(TransferFaults, EachLieOfAHolderIsItsOwnErrorAndLeavesOnlyTrueBlocks) {
  start_client();
  Hello other_model = identity();
  other_model.model_fingerprint = name(3).bytes;
  Hello other_size = identity();
  other_size.block_bytes = 8'192;
  const struct {
    std::string name;
    Script script;
    std::optional<ErrorCode> error;
    std::size_t blocks;
  } cases[] = {
      {"none, inline", {}, std::nullopt, 4},
      {"none, shared", {.shared = true}, std::nullopt, 4},
      {"other model", {.hello = other_model}, ErrorCode::kBlockMismatch, 0},
      {"other block size", {.hello = other_size}, ErrorCode::kBlockMismatch, 0},
      {"no descriptor", {.shared = true, .pass_fd = false}, ErrorCode::kProtocol, 0},
      {"memory that can shrink", {.shared = true, .sealed = false}, ErrorCode::kProtocol, 0},
      {"wrong name, inline", {.wrong_name = 3}, ErrorCode::kBlockMismatch, 2},
      {"wrong name, shared", {.shared = true, .wrong_name = 3}, ErrorCode::kBlockMismatch, 2},
      {"wrong bytes, inline", {.wrong_bytes = 3}, ErrorCode::kBlockMismatch, 2},
      {"wrong bytes, shared", {.shared = true, .wrong_bytes = 3}, ErrorCode::kBlockMismatch, 2},
      {"wrong count", {.no_end = true}, ErrorCode::kBlockMismatch, 4},
  };
  for (const auto& row : cases) {
    const PullResult result = pull_from(row.script);
    EXPECT_EQ(result.error.has_value(), row.error.has_value()) << row.name;
    if (result.error && row.error) {
      EXPECT_EQ(result.error->code, *row.error) << row.name << ": " << result.error->what;
    }
    EXPECT_EQ(result.blocks.size(), row.blocks) << row.name;
    EXPECT_EQ(puller_.store.stats().blocks, row.blocks) << row.name;
    EXPECT_TRUE(puller_.holds(1, row.blocks)) << row.name;
    EXPECT_TRUE(puller_.store.check_integrity()) << row.name;
  }
}

TEST_F(TransferFaults, ASilentHolderEndsThePullAtItsDeadlineWithTheBlocksThatCame) {
  start_client();
  for (const bool shared : {false, true}) {
    const PullResult result = pull_from({.shared = shared, .silent_at = 3}, milliseconds{50});
    EXPECT_EQ(result.error.value().code, ErrorCode::kDeadlineExceeded);
    EXPECT_EQ(result.blocks.size(), 2U);
  }
}

/// Carries bytes from one socket to the other, and cuts both after `bytes_left` of them.
Task<void> relay(std::shared_ptr<WireSocket> from, std::shared_ptr<WireSocket> to, std::shared_ptr<std::size_t> left) {
  std::vector<std::byte> buffer(1'000);
  while (*left > 0) {
    const auto received = co_await from->receive(std::span{buffer}.first(std::min(buffer.size(), *left)));
    if (!received) break;
    const std::size_t carried = std::min(*received, *left);  // the other direction may have used some meanwhile
    *left -= carried;
    iovec piece{.iov_base = buffer.data(), .iov_len = carried};
    const Result<void> sent = co_await to->send(std::span{&piece, 1}, -1);
    if (!sent) break;
  }
  from->cancel();
  to->cancel();
}

Task<void> relay_one(Loop* loop, ScriptedListener* front, net::Address back, std::size_t bytes) {
  auto accepted = co_await front->accept();
  if (!accepted) co_return;
  auto near = std::make_shared<WireSocket>(*loop, std::move(*accepted));
  auto far = std::make_shared<WireSocket>(*loop, net::Socket{loop->executor()});
  const auto resolution = net::Resolution::start(*loop, back);
  const Result<void> connected = co_await far->connect(resolution->endpoints.front());
  if (!connected) co_return;
  const auto left = std::make_shared<std::size_t>(bytes);
  loop->spawn(relay(near, far, left));
  loop->spawn(relay(far, near, left));
}

TEST_F(TransferFaults, ACutAfterAnyNumberOfBytesLeavesLeadingBlocksAndNeverHangs) {
  start_client();
  Store holder;
  const auto blocks = holder.fill(1, 4);
  BlockServerOptions options;
  options.listen = tcp_address();
  options.identity = identity();
  options.leases = {.leases_max = 1'000, .bytes_max = std::size_t{1} << 30U, .id_seed = 5};
  const auto server = *BlockServer::listen(loop_, std::move(options), metrics_);
  bool complete = false;
  std::size_t errors = 0;
  for (std::size_t bytes = 0; !complete; bytes += 61) {
    ASSERT_LT(bytes, 40'000U);
    puller_.store.clear();
    ScriptedListener proxy{loop_, tcp_address()};
    loop_.spawn(relay_one(&loop_, &proxy, server->address(), bytes));
    PullRequest wanted = request(proxy.address());
    wanted.lease = *server->grant(blocks);
    const PullResult result = pull(std::move(wanted));
    complete = !result.error;
    errors += result.error ? 1 : 0;
    if (result.error) {
      EXPECT_EQ(result.error->code, ErrorCode::kConnectionClosed) << result.error->what;
    }
    ASSERT_TRUE(puller_.holds(1, result.blocks.size())) << bytes;
    ASSERT_EQ(puller_.store.stats().blocks, result.blocks.size()) << bytes;
    ASSERT_TRUE(puller_.store.check_integrity()) << bytes;
  }
  EXPECT_GT(errors, 250U) << "some 16 kB of blocks are cut every 61 bytes";
}

/// A puller made by hand: says `messages`, and returns what the holder says until it closes or 16 messages came.
Task<void> talk(Loop* loop, net::Address peer, std::vector<Message> messages, std::vector<Message>* answers) {
  WireConnection connection{
      *loop, net::Socket{loop->executor()}, {.side = WireSide::kPuller, .block_bytes = kBlockBytes}};
  const auto resolution = net::Resolution::start(*loop, peer);
  Result<void> sent = co_await connection.socket().connect(resolution->endpoints.front());
  for (const Message& message : messages) {
    if (sent) sent = co_await connection.send(message);
  }
  while (sent && answers->size() < 16) {
    Result<Message> answer = co_await connection.next();
    if (!answer) break;
    answers->push_back(*std::move(answer));
  }
}

TEST_F(TransferFaults, AHolderAnswersNonsenseWithAnErrorAndCloses) {
  Store holder;
  BlockServerOptions options;
  options.listen = tcp_address();
  options.identity = identity();
  options.leases = {.leases_max = 10, .bytes_max = std::size_t{1} << 30U, .id_seed = 5};
  options.handshake_max = milliseconds{20};
  options.idle_max = milliseconds{20};
  const auto server = *BlockServer::listen(loop_, std::move(options), metrics_);
  const LeaseId lease = *server->grant(holder.fill(1, 80));
  Hello other = identity();
  other.block_tokens = 1;
  const struct {
    std::string name;
    std::vector<Message> messages;
    std::optional<WireErrorCode> error;
  } cases[] = {
      {"nothing", {}, std::nullopt},
      {"another geometry", {other}, WireErrorCode::kWrongGeometry},
      {"a request first", {BlockRequest{lease, names(1, 1)}}, WireErrorCode::kBadMessage},
      {"a second hello", {identity(), identity()}, WireErrorCode::kBadMessage},
      {"a message of a holder", {identity(), RequestEnd{}}, WireErrorCode::kBadMessage},
      {"too many blocks", {identity(), BlockRequest{lease, names(1, 65)}}, WireErrorCode::kBadMessage},
      {"an unknown lease", {identity(), BlockRequest{LeaseId{12}, names(1, 3)}}, WireErrorCode::kUnknownLease},
      {"nothing after hello", {identity()}, std::nullopt},
      {"the end of a lease that is none", {identity(), LeaseDone{LeaseId{12}}}, std::nullopt},
  };
  for (const auto& row : cases) {
    std::vector<Message> answers;
    run_task(loop_, talk(&loop_, server->address(), row.messages, &answers));
    const auto* error = answers.empty() ? nullptr : std::get_if<WireError>(&answers.back());
    EXPECT_EQ(error != nullptr, row.error.has_value()) << row.name;
    if (error != nullptr && row.error) {
      EXPECT_EQ(error->code, *row.error) << row.name << ": " << error->text;
    }
    run_until(loop_, [&] { return server->connections() == 0; });
    EXPECT_EQ(holder.store.stats().pinned_blocks, 80U) << row.name << ": the lease is untouched";
  }
}

TEST_F(TransferFaults, AHolderDropsAPullerThatDoesNotRead) {
  Store holder{3'000};
  BlockServerOptions options;
  options.listen = tcp_address();
  options.identity = identity();
  options.leases = {.leases_max = 10, .bytes_max = std::size_t{1} << 30U, .id_seed = 5};
  options.stall_max = milliseconds{30};
  const auto server = *BlockServer::listen(loop_, std::move(options), metrics_);
  const LeaseId lease = *server->grant(holder.fill(1, 64));
  WireConnection puller{loop_, net::Socket{loop_.executor()}, {.side = WireSide::kPuller, .block_bytes = kBlockBytes}};
  auto ask = [](Loop* loop, WireConnection* from, net::Address peer, LeaseId of) -> Task<void> {
    const auto resolution = net::Resolution::start(*loop, peer);
    Result<void> sent = co_await from->socket().connect(resolution->endpoints.front());
    EXPECT_TRUE(sent.has_value());
    sent = co_await from->send(identity());
    const BlockRequest many{of, names(1, 64)};
    for (int i = 0; sent && i < 100; ++i) sent = co_await from->send(many);
  };
  run_task(loop_, ask(&loop_, &puller, server->address(), lease));
  run_until(loop_, [&] { return server->connections() == 0; });
  EXPECT_EQ(server->leases().leases, 1U);
}

}  // namespace
}  // namespace llmd::kvtransfer
