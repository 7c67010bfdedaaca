#include "kvevents/replay_server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <utility>

namespace llmd::kvevents {
namespace {

using Left = ReplayServer::Left;

constexpr std::size_t kBatchBytes = 100'000;
constexpr std::size_t kBacklogBytesMax = 10 * kBatchBytes;
constexpr std::uint64_t kBatches = 200;

class ReplayServerTest : public testing::Test {
 protected:
  ReplayServerTest() {
    for (std::uint64_t seq = 0; seq < kBatches; ++seq)
      buffer_.add(PayloadHandle{new Payload{seq, std::string(kBatchBytes, 'x'), {nullptr, backlog_}}});
  }
  ~ReplayServerTest() override { std::filesystem::remove(path_); }

  ReplayServer make() {
    auto socket = ZmqSocket::make(context_, ZmqSocket::Kind::kRouter, ReplayServer::kPeerBatchesMax);
    EXPECT_TRUE(socket->bind("ipc://" + path_).has_value());
    return {*std::move(socket), "topic", backlog_, kBacklogBytesMax};
  }
  ZmqSocket ask(std::uint64_t from) {
    auto client = ZmqSocket::make(context_, ZmqSocket::Kind::kDealer, 1);
    EXPECT_TRUE(client->connect("ipc://" + path_).has_value());
    ask(*client, from);
    return *std::move(client);
  }
  static void ask(ZmqSocket& client, std::uint64_t from) {
    client.send({}, true);
    client.send(encode_seq(from), false);
  }
  /// Until `look` finds something, or for 20 s.
  template <class Look>
  bool advance_until(ReplayServer& server, Look look) {
    const TimePoint deadline = SteadyClock::now() + seconds{20};
    while (SteadyClock::now() < deadline) {
      const Left left = server.advance(buffer_, now_);
      EXPECT_LE(held(), kBacklogBytesMax + kBatchBytes);
      if (look(left)) return true;
      std::this_thread::yield();
    }
    return false;
  }
  /// Until its consumer takes nothing more from libzmq.
  bool advance_until_stuck(ReplayServer& server) {
    TimePoint since = SteadyClock::now();
    return advance_until(server, [&](Left left) {
      if (left != Left::kBlocked || held() <= kBacklogBytesMax) since = SteadyClock::now();
      return SteadyClock::now() - since > milliseconds{100};
    });
  }
  [[nodiscard]] std::size_t held() const { return backlog_->bytes.load(); }

  const std::string path_ = std::filesystem::temp_directory_path() / ("llmd-replay-" + std::to_string(::getpid()));
  const std::shared_ptr<Backlog> backlog_ = std::make_shared<Backlog>();
  ReplayBuffer buffer_{{}};
  ZmqContext context_{16};
  TimePoint now_ = SteadyClock::now();
};

TEST_F(ReplayServerTest, HoldsNoMoreThanItsBacklogForAConsumerThatNeverReads) {
  ReplayServer server = make();
  auto stuck = std::make_optional(ask(0));
  ASSERT_TRUE(advance_until_stuck(server)) << held();
  // Meanwhile nobody has room.
  ZmqSocket other = ask(kBatches - 1);
  ASSERT_TRUE(advance_until(server, [&](Left) { return server.requests() == 2; }));
  now_ += ReplayServer::kStallMax + seconds{1};
  ASSERT_TRUE(advance_until(server, [](Left left) { return left == Left::kNothing; })) << "both are given up";
  EXPECT_GT(held(), kBacklogBytesMax);
  // Once it is gone, so is what was held for it.
  stuck.reset();
  ASSERT_TRUE(advance_until(server, [&](Left) { return held() == 0; })) << held();
  EXPECT_EQ(other.receive(8), std::nullopt);
  ask(other, kBatches - 1);
  std::optional<std::vector<std::string>> frames;
  ASSERT_TRUE(advance_until(server, [&](Left) { return (frames = other.receive(8)).has_value(); }));
  ASSERT_EQ(frames->size(), 4U);
  EXPECT_EQ((*frames)[2], encode_seq(kBatches - 1));
  EXPECT_EQ((*frames)[3].size(), kBatchBytes);
}

TEST_F(ReplayServerTest, ServesAShortReplayBesideALongOne) {
  ReplayServer server = make();
  ZmqSocket slow = ask(0);
  ASSERT_TRUE(advance_until_stuck(server)) << held();
  ZmqSocket other = ask(kBatches - 1);
  std::uint64_t read = 0;
  ASSERT_TRUE(advance_until(server, [&](Left) {
    if (slow.receive(8)) ++read;
    return other.receive(8).has_value();
  }));
  EXPECT_LT(read, kBatches / 2);
}

}  // namespace
}  // namespace llmd::kvevents
