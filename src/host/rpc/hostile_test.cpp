// Clients that take much and give little.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "net/testing/h2_frames.h"
#include "net/testing/raw_peer.h"
#include "rpc/server.h"
#include "runtime/testing/loop_thread.h"

namespace llmd::rpc {
namespace {

using testkit::h2_frame;
using testkit::h2_preface;
using testkit::h2_request;
using testkit::h2_setting;
using testkit::H2Frame;
using testkit::LoopThread;
using testkit::number32;
using testkit::RawConnection;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

class TestServer {
 public:
  TestServer(Method method, ServerOptions options) {
    options.h2.listen = net::Address{.host = "127.0.0.1"};
    server_ = Server::listen({&thread_.loop()}, std::move(options), {{"/a", std::move(method)}}).value();
  }
  [[nodiscard]] RawConnection connect() const { return RawConnection::connect(server_->address()); }
  [[nodiscard]] Server& server() noexcept { return *server_; }

 private:
  LoopThread thread_;
  std::unique_ptr<Server> server_;
};

bool holds_within(const std::function<bool()>& condition, Duration limit = seconds{20}) {
  const TimePoint deadline = SteadyClock::now() + limit;
  while (!condition() && SteadyClock::now() < deadline) std::this_thread::yield();
  return condition();
}

std::size_t resident_bytes() {
  ::malloc_trim(0);
  std::ifstream file{"/proc/self/statm"};
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * 4'096;
}

std::string call(std::uint32_t stream) {
  return h2_request(stream, /*ends=*/false, {{"content-type", "application/grpc"}, {"te", "trailers"}});
}

TEST(RpcHostile, StreamsThatSayNothingCostLittle) {
  constexpr std::uint32_t kConnections = 5;
  constexpr std::uint32_t kStreams = 2'000;
  TestServer server{[](ServerCall& call) -> Task<Status> {
                      const auto message = co_await call.read();
                      co_return message ? Status{} : status_of(message.error());
                    },
                    {}};
  const std::size_t before = resident_bytes();
  std::vector<RawConnection> clients;
  for (std::uint32_t i = 0; i < kConnections; ++i) {
    std::string bytes = h2_preface();
    for (std::uint32_t stream = 0; stream < kStreams; ++stream) bytes += call(2 * stream + 1);
    clients.push_back(server.connect());
    ASSERT_TRUE(clients.back().send(bytes));
  }
  ASSERT_TRUE(holds_within([&] { return server.server().calls() == kConnections * kStreams; }));
  const std::size_t each = (resident_bytes() - before) / (kConnections * kStreams);
  RecordProperty("bytes_per_stream", static_cast<int>(each));
  if (!kSanitized) {
    EXPECT_LT(each, 4'500U);
  }
  clients.clear();
  EXPECT_TRUE(holds_within([&] { return server.server().calls() == 0; }));
}

/// Writes 1 MB again and again, and tells how much it got rid of.
struct Torrent {
  std::atomic<std::size_t> written{0};
  std::atomic<bool> cut{false};

  [[nodiscard]] Method method() {
    return [this](ServerCall& call) -> Task<Status> {
      constexpr std::size_t kPiece = 1'000'000;
      for (int i = 0; i < 200; ++i) {
        std::vector<net::H2Bytes> message;
        message.push_back(net::own(std::string(kPiece, 'x')));
        const auto sent = co_await call.write(std::move(message));
        if (!sent) {
          cut = true;
          co_return status_of(sent.error());
        }
        written += kPiece;
      }
      co_return Status{};
    };
  }
};

TEST(RpcHostile, AClientThatReadsNothingIsCut) {
  Torrent torrent;
  TestServer server{torrent.method(), {.h2 = {.link = {.write_timeout = milliseconds{300}}}}};
  RawConnection client = server.connect();
  constexpr std::uint32_t kWindowMax = 0x7fffffffU;
  ASSERT_TRUE(client.send(h2_preface() + h2_frame(H2Frame::kSettings, 0, 0, h2_setting(4, kWindowMax)) +
                          h2_frame(H2Frame::kWindow, 0, 0, number32(kWindowMax - 65'535)) + call(1)));
  EXPECT_TRUE(holds_within([&] { return torrent.cut && server.server().calls() == 0; }));
  EXPECT_LT(torrent.written, 50'000'000U) << "more than sockets hold";
}

TEST(RpcHostile, AClientThatOpensNoWindowIsSentNothing) {
  Torrent torrent;
  TestServer server{torrent.method(), {}};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send(h2_preface() + h2_frame(H2Frame::kSettings, 0, 0, h2_setting(4, 0)) + call(1)));
  ASSERT_TRUE(holds_within([&] { return torrent.written > 0; }));
  std::string bytes;
  const auto has_begun = [&] {  // the answer's head is here
    std::string copy = bytes;
    return std::ranges::any_of(testkit::take_frames(copy), [](const auto& f) { return f.type == H2Frame::kHeaders; });
  };
  while (!has_begun()) {
    const std::string more = client.read_bytes(1);
    ASSERT_FALSE(more.empty());
    bytes += more;
  }
  EXPECT_EQ(torrent.written, 1'000'000U) << "one message waits, the next is not taken";
  ASSERT_TRUE(client.send(h2_frame(H2Frame::kReset, 0, 1, number32(8))));
  EXPECT_TRUE(holds_within([&] { return torrent.cut.load(); }));
  EXPECT_TRUE(holds_within([&] { return server.server().calls() == 0; }));
}

TEST(RpcHostile, MessagesOfNothingFillNoMemory) {
  Budget budget{"test", 1'000'000};
  std::atomic<bool> spent{false};
  TestServer server{[&](ServerCall& call) -> Task<Status> {
                      while (true) {
                        const auto message = co_await call.read();
                        spent = !message && message.error().code == ErrorCode::kBudgetExhausted;
                        if (!message) co_return status_of(message.error());
                        if (!*message) co_return Status{};
                        co_await sleep_for(milliseconds{1});
                      }
                    },
                    {.messages = {.budget = &budget}}};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send(h2_preface() + h2_frame(H2Frame::kSettings, testkit::kAck, 0) + call(1)));
  // As many empty messages as the window takes, of a reader that is slow.
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(client.send(h2_frame(H2Frame::kData, 0, 1, std::string(16'000, '\0'))));
  EXPECT_TRUE(holds_within([&] { return spent && server.server().calls() == 0; }));
  EXPECT_EQ(budget.used_bytes(), 0U);
}

}  // namespace
}  // namespace llmd::rpc
