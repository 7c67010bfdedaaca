#include "kvevents/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kvevents/encode_batch.h"

namespace llmd::kvevents {
namespace {

constexpr seconds kPatience{20};
const std::string kEnd(8, '\xff');

std::vector<KvEvent> removal(std::uint64_t block) { return {BlockRemoved{.block = block}}; }

/// Some 100 KB.
std::vector<KvEvent> large(std::uint64_t block) {
  return {BlocksStored{.blocks = {block}, .tokens = std::vector<TokenId>(20'000, 1'000'000), .block_tokens = 20'000}};
}

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() { std::filesystem::create_directories(folder_); }
  ~PublisherTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string place(const std::string& name) const { return "ipc://" + (folder_ / name).string(); }

  std::shared_ptr<KvEventSink> start(Publisher& publisher, PublisherOptions options = {}) {
    options.enabled = true;
    options.topic = "kv@pod@model";
    if (options.endpoint == PublisherOptions{}.endpoint) options.endpoint = place("live");
    auto sink = publisher.add(options, registry_);
    EXPECT_TRUE(sink.has_value()) << sink.error().to_string();
    publisher.start();
    return *sink;
  }

  ZmqSocket subscriber(int hwm = 1'000) {
    auto socket = ZmqSocket::make(context_, ZmqSocket::Kind::kSubscriber, hwm);
    EXPECT_TRUE(socket->connect(place("live")).has_value());
    socket->subscribe("kv@");
    return *std::move(socket);
  }

  ZmqSocket replay_client() {
    auto socket = ZmqSocket::make(context_, ZmqSocket::Kind::kDealer, 1'000);
    EXPECT_TRUE(socket->connect(place("replay")).has_value());
    return *std::move(socket);
  }

  /// Waits for what `look` finds.
  template <class Look>
  static auto eventually(Look look) -> decltype(look()) {
    const TimePoint deadline = SteadyClock::now() + kPatience;
    auto found = look();
    while (!found && SteadyClock::now() < deadline) {
      std::this_thread::yield();
      found = look();
    }
    return found;
  }
  static std::vector<std::string> next(ZmqSocket& socket) {
    auto frames = eventually([&] { return socket.receive(8); });
    EXPECT_TRUE(frames.has_value()) << "nothing came";
    return frames.value_or(std::vector<std::string>{});
  }
  /// Publishes until the consumer has heard one: a subscription takes a moment. Returns the number of the first heard.
  static std::uint64_t join(KvEventSink& sink, ZmqSocket& consumer, std::uint64_t* published) {
    const auto heard = eventually([&] {
      sink.on_kv_events(removal((*published)++));
      return consumer.receive(8);
    });
    return heard ? seq_of((*heard)[1]) : UINT64_MAX;
  }
  static std::uint64_t seq_of(const std::string& bytes) {
    std::uint64_t seq = 0;
    for (const char byte : bytes) seq = seq << 8U | static_cast<std::uint8_t>(byte);
    return seq;
  }
  double counter(const std::string& name, const LabelSet& labels = {}) {
    return registry_.counter(name, "", labels).value();
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("llmd-ev-" + std::to_string(::getpid()));
  MetricsRegistry registry_;
  ZmqContext context_{16};
};

TEST_F(PublisherTest, SendsThreeFramesWithRisingNumbers) {
  Publisher publisher{1};
  const auto sink = start(publisher);
  ZmqSocket consumer = subscriber();
  std::uint64_t published = 0;
  std::uint64_t seq = join(*sink, consumer, &published);
  while (++seq < published) EXPECT_EQ(seq_of(next(consumer)[1]), seq);
  sink->on_kv_events({BlockRemoved{.block = 77}, BlocksCleared{}});
  const auto frames = next(consumer);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0], "kv@pod@model");
  EXPECT_EQ(frames[1], encode_seq(published));
  const std::string expected = encode_batch(0, std::vector<KvEvent>{BlockRemoved{.block = 77}, BlocksCleared{}});
  EXPECT_EQ(frames[2].substr(10), expected.substr(10)) << "behind the time, which differs";
  EXPECT_EQ(counter("llmd_worker_kv_events_batches_total"), static_cast<double>(published + 1));
}

TEST_F(PublisherTest, ReplaysFromANumberOnAndSaysWhereItEnds) {
  Publisher publisher{1};
  PublisherOptions options;
  options.replay_endpoint = place("replay");
  options.buffer_steps = 300;
  const auto sink = start(publisher, options);
  for (std::uint64_t i = 0; i < 1'000; ++i) sink->on_kv_events(removal(i));
  ASSERT_TRUE(eventually([&] { return counter("llmd_worker_kv_events_batches_total") == 1'000; }));
  struct Case {
    std::uint64_t from, first, count;
  };
  for (const Case& each : {Case{900, 900, 100}, Case{0, 700, 300}, Case{999, 999, 1}, Case{1'000, 0, 0}}) {
    ZmqSocket client = replay_client();
    client.send({}, true);
    client.send(encode_seq(each.from), false);
    for (std::uint64_t i = 0; i < each.count; ++i) {
      const auto frames = next(client);
      ASSERT_EQ(frames.size(), 4U);
      EXPECT_EQ(frames[0], "");
      EXPECT_EQ(frames[1], "kv@pod@model");
      EXPECT_EQ(seq_of(frames[2]), each.first + i);
    }
    EXPECT_THAT(next(client), testing::ElementsAre("", "", kEnd, "")) << "from " << each.from;
  }
  EXPECT_EQ(counter("llmd_worker_kv_events_replays_total"), 4);
}

TEST_F(PublisherTest, HearsNoReplayRequestOfAnotherForm) {
  Publisher publisher{1};
  PublisherOptions options;
  options.replay_endpoint = place("replay");
  const auto sink = start(publisher, options);
  ZmqSocket client = replay_client();
  client.send("no delimiter", false);
  client.send({}, true);
  client.send("short", false);
  client.send({}, true);
  client.send(encode_seq(0), true);
  client.send("more", true);
  client.send("and more", false);
  client.send({}, true);
  client.send(encode_seq(0), false);
  EXPECT_EQ(next(client)[2], kEnd);
  EXPECT_EQ(client.receive(8), std::nullopt);
  EXPECT_EQ(counter("llmd_worker_kv_events_replays_total"), 1);
}

TEST_F(PublisherTest, NeitherWaitsForAConsumerThatNeverReadsNorKeepsItsBatches) {
  Publisher publisher{1, {.backlog = std::size_t{1} << 20}};
  PublisherOptions options;
  options.replay_endpoint = place("replay");
  options.buffer_steps = 3;
  const auto sink = start(publisher, options);
  ZmqSocket stuck = subscriber(/*hwm=*/1);
  ZmqSocket consumer = subscriber();
  std::uint64_t published = 0;
  join(*sink, stuck, &published);
  join(*sink, consumer, &published);
  std::uint64_t last = 0;
  const LabelSet backlog{{"reason", "backlog"}};
  const bool dropped = eventually([&] {
    sink->on_kv_events(large(published++));
    while (const auto frames = consumer.receive(8)) last = seq_of((*frames)[1]);
    return counter("llmd_worker_kv_events_dropped_total", backlog) > 0;
  });
  EXPECT_TRUE(dropped) << published;
  // The one that reads has a new connection soon, and hears the newest again.
  const std::uint64_t before = last;
  EXPECT_TRUE(eventually([&] {
    sink->on_kv_events(removal(published++));
    while (const auto frames = consumer.receive(8)) last = seq_of((*frames)[1]);
    return last > before + 3;
  }));
  EXPECT_LT(registry_.gauge("llmd_worker_kv_events_replay_buffer_bytes", "").value(), 400'000);
}

TEST_F(PublisherTest, CountsBatchesThatAConsumerTooFarBehindMisses) {
  Publisher publisher{1};
  PublisherOptions options;
  options.hwm = 2;
  const auto sink = start(publisher, options);
  ZmqSocket stuck = subscriber(/*hwm=*/1);
  std::uint64_t published = 0;
  join(*sink, stuck, &published);
  EXPECT_TRUE(eventually([&] {
    sink->on_kv_events(large(published++));
    return counter("llmd_worker_kv_events_dropped_total", {{"reason", "hwm"}}) > 2;
  })) << published;
}

TEST_F(PublisherTest, RefusesAPlaceThatIsTaken) {
  Publisher publisher{2};
  PublisherOptions options{.enabled = true, .endpoint = "tcp://*:0", .replay_endpoint = "tcp://127.0.0.1:0"};
  ASSERT_TRUE(publisher.add(options, registry_).has_value());
  auto holder = ZmqSocket::make(context_, ZmqSocket::Kind::kPublisher, 1);
  ASSERT_TRUE(holder->bind("tcp://*:0").has_value());
  options.endpoint = "tcp://*" + holder->bound_to().substr(holder->bound_to().rfind(':'));
  const auto second = publisher.add(options, registry_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse) << second.error().to_string();
}

TEST(EventQueue, DropsWhatFindsNoRoomButNumbersIt) {
  MetricsRegistry registry;
  EventMetrics metrics{registry};
  const Wake wake;
  EventQueue queue{{.batches_max = 2}, wake, metrics};
  for (std::uint64_t i = 0; i < 4; ++i) queue.on_kv_events(removal(i));
  auto taken = queue.take();
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(metrics.dropped_queue.value(), 2);
  queue.on_kv_events(removal(9));
  taken = queue.take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken.front().seq, 4U);
}

TEST(EventQueue, HasRoomForOneBatchHoweverLarge) {
  MetricsRegistry registry;
  EventMetrics metrics{registry};
  const Wake wake;
  EventQueue queue{{.bytes_max = 10'000}, wake, metrics};
  for (int round = 0; round < 2; ++round) {
    queue.on_kv_events(large(1));
    queue.on_kv_events(removal(2));
    EXPECT_EQ(queue.take().size(), 1U);
    EXPECT_EQ(metrics.dropped_queue.value(), round + 1);
  }
}

}  // namespace
}  // namespace llmd::kvevents
