#include "rpc/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/protobuf_wire.h"
#include "net/testing/h2_peer.h"
#include "net/testing/raw_peer.h"
#include "rpc/health.h"
#include "rpc/message_reader.h"
#include "rpc/testing/echo.h"
#include "rpc/testing/gzip.h"
#include "runtime/testing/loop_thread.h"

namespace llmd::rpc {
namespace {

using testkit::echo;
using testkit::H2Peer;
using testkit::LoopThread;
using testkit::pieces;
using testkit::RawConnection;
using Methods = std::map<std::string, Method, std::less<>>;

class TestServer {
 public:
  explicit TestServer(Methods methods, ServerOptions options = {}) {
    options.h2.listen = net::Address{.host = "127.0.0.1", .port = 0, .unix_path = {}};
    auto server = Server::listen({&thread_.loop()}, std::move(options), std::move(methods));
    EXPECT_TRUE(server.has_value()) << server.error().to_string();
    server_ = std::move(*server);
  }
  [[nodiscard]] Server& server() noexcept { return *server_; }

 private:
  LoopThread thread_;
  std::unique_ptr<Server> server_;
};

/// A client that makes calls by hand.
class Client {
 public:
  explicit Client(TestServer& server) : connection_{RawConnection::connect(server.server().address())} {}

  std::int32_t call(std::string path, std::vector<std::pair<std::string, std::string>> more = {}) {
    std::vector<std::pair<std::string, std::string>> head{{":method", "POST"},
                                                          {":scheme", "http"},
                                                          {":path", std::move(path)},
                                                          {":authority", "test"},
                                                          {"content-type", "application/grpc"},
                                                          {"te", "trailers"}};
    head.insert(head.end(), more.begin(), more.end());
    return peer_.request(head, /*ends=*/false);
  }
  void send(std::int32_t call, std::string_view message, bool ends = false) {
    peer_.send(call, message_head(message.size()) + std::string{message}, ends);
  }
  void send_compressed(std::int32_t call, std::string_view message, bool ends = false) {
    const std::string small = testkit::gzip(message);
    std::string head = message_head(small.size());
    head[0] = 1;
    peer_.send(call, head + small, ends);
  }
  void end(std::int32_t call) { peer_.send(call, {}, /*ends=*/true); }
  H2Peer& peer() noexcept { return peer_; }

  /// Until the condition holds, for at most 10 s.
  bool talk_until(const std::function<bool()>& condition) {
    const TimePoint deadline = SteadyClock::now() + seconds{10};
    while (!condition()) {
      if (SteadyClock::now() > deadline) return false;
      if (const std::string up = peer_.output(); !up.empty() && !connection_.send(up)) return false;
      if (!connection_.readable(milliseconds{20})) continue;
      char bytes[16 * 1024];
      const ssize_t got = ::recv(connection_.fd(), bytes, sizeof bytes, 0);
      if (got <= 0 || !peer_.receive({bytes, static_cast<std::size_t>(got)})) return condition();
    }
    return true;
  }
  /// The call's status once it has ended; -1 if it does not.
  int status(std::int32_t call) {
    testkit::H2Answer& answer = peer_.answer(call);
    if (!talk_until([&] { return answer.closed; })) return -1;
    const auto& fields = answer.trailers.contains("grpc-status") ? answer.trailers : answer.head;
    return fields.contains("grpc-status") ? std::stoi(fields.at("grpc-status")) : -1;
  }
  std::vector<std::string> messages(std::int32_t call) {
    std::vector<std::string> all;
    MessageReader reader{100'000'000};
    EXPECT_TRUE(reader.take(peer_.answer(call).body, all));
    return all;
  }

 private:
  RawConnection connection_;
  H2Peer peer_;
};

const Methods kEcho{{"/test.Echo/Stream", echo}};

TEST(RpcServer, EchoesAStreamOfMessages) {
  TestServer server{kEcho};
  Client client{server};
  const auto call = client.call("/test.Echo/Stream");
  client.send(call, "one");
  ASSERT_TRUE(client.talk_until([&] { return client.messages(call).size() == 1; })) << "before the client has ended";
  client.send(call, "");
  client.send(call, std::string(1'000'000, 'x'), /*ends=*/true);
  EXPECT_EQ(client.status(call), 0);
  EXPECT_EQ(client.messages(call), (std::vector<std::string>{"one", "", std::string(1'000'000, 'x')}));
  EXPECT_EQ(client.peer().answer(call).head.at("content-type"), "application/grpc");
}

TEST(RpcServer, ServesManyCallsOfAConnectionAtOnce) {
  TestServer server{kEcho};
  Client client{server};
  std::vector<std::int32_t> calls;
  for (int i = 0; i < 90; ++i) {
    calls.push_back(client.call("/test.Echo/Stream"));
    client.send(calls.back(), std::to_string(i), /*ends=*/true);
  }
  for (int i = 0; i < 90; ++i) {
    ASSERT_EQ(client.status(calls[static_cast<std::size_t>(i)]), 0);
    ASSERT_EQ(client.messages(calls[static_cast<std::size_t>(i)]), std::vector<std::string>{std::to_string(i)});
  }
}

TEST(RpcServer, TellsWhatItDoesNotServe) {
  TestServer server{kEcho};
  Client client{server};
  const auto unknown = client.call("/test.Echo/Other");
  EXPECT_EQ(client.status(unknown), static_cast<int>(StatusCode::kUnimplemented));
  const auto plain = client.peer().request(
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "test"}}, /*ends=*/true);
  ASSERT_TRUE(client.talk_until([&] { return client.peer().answer(plain).closed; }));
  EXPECT_EQ(client.peer().answer(plain).head.at(":status"), "415");
}

TEST(RpcServer, RefusesMessagesThatAreTooLongOrMoreThanThereIsRoomFor) {
  Budget budget{"test", 50'000};
  TestServer server{kEcho, {.messages = {.message_bytes_max = 100'000, .budget = &budget}}};
  Client client{server};
  const auto longest = client.call("/test.Echo/Stream");
  client.send(longest, std::string(100'001, 'x'), true);
  EXPECT_EQ(client.status(longest), static_cast<int>(StatusCode::kResourceExhausted));
  const auto second = client.call("/test.Echo/Stream");
  client.send(second, std::string(90'000, 'x'), true);
  EXPECT_EQ(client.status(second), static_cast<int>(StatusCode::kResourceExhausted));
  const auto third = client.call("/test.Echo/Stream");
  client.send(third, "fits", true);
  EXPECT_EQ(client.status(third), 0);
  EXPECT_TRUE(client.talk_until([&] { return server.server().calls() == 0; }));
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(RpcServer, TakesCompressedMessagesAndAnswersWithPlainOnes) {
  Budget budget{"test", 1'000'000};
  TestServer server{kEcho, {.messages = {.message_bytes_max = 500'000, .budget = &budget}}};
  Client client{server};
  const std::string text(400'000, 'x');
  const auto call = client.call("/test.Echo/Stream", {{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "gzip"}});
  client.send_compressed(call, text);
  client.send(call, "plain");
  client.send_compressed(call, "", /*ends=*/true);
  EXPECT_EQ(client.status(call), 0);
  EXPECT_EQ(client.messages(call), (std::vector<std::string>{text, "plain", ""}));
  EXPECT_FALSE(client.peer().answer(call).head.contains("grpc-encoding"));

  const auto bomb = client.call("/test.Echo/Stream", {{"grpc-encoding", "gzip"}});
  client.send_compressed(bomb, std::string(100'000'000, 'x'), /*ends=*/true);
  EXPECT_EQ(client.status(bomb), static_cast<int>(StatusCode::kResourceExhausted));
  const auto odd = client.call("/test.Echo/Stream", {{"grpc-encoding", "br"}});
  EXPECT_EQ(client.status(odd), static_cast<int>(StatusCode::kUnimplemented));
  EXPECT_EQ(client.peer().answer(odd).head.at("grpc-accept-encoding"), "identity,gzip");
  const auto silent = client.call("/test.Echo/Stream");
  client.send_compressed(silent, "x", /*ends=*/true);
  EXPECT_EQ(client.status(silent), static_cast<int>(StatusCode::kInternal)) << "compressed, and it does not say how";
  EXPECT_TRUE(client.talk_until([&] { return server.server().calls() == 0; }));
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(RpcServer, ChargesWhatWaitsAndNothingElse) {
  Budget budget{"test", 10'000};
  TestServer server{kEcho, {.messages = {.budget = &budget}}};
  Client client{server};
  const auto call = client.call("/test.Echo/Stream");
  for (std::size_t i = 1; i <= 3'000; ++i) {  // the heads of read messages must not add up
    client.send(call, "x");
    ASSERT_TRUE(client.talk_until([&] { return client.peer().answer(call).body.size() == i * 6; })) << i;
  }
  client.end(call);
  EXPECT_EQ(client.status(call), 0);
  EXPECT_TRUE(client.talk_until([&] { return server.server().calls() == 0; }));
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(RpcServer, CutsCallsAtTheirDeadlineAndWhenTheClientLeaves) {
  std::atomic<int> cancelled{0};
  TestServer server{{{"/test/Wait", [&](ServerCall& call) -> Task<Status> {
                        call.on_cancel([&] { ++cancelled; });
                        const auto message = co_await call.read();
                        co_return message ? Status{} : status_of(message.error());
                      }}}};
  Client client{server};
  const auto late = client.call("/test/Wait", {{"grpc-timeout", "50m"}});
  EXPECT_EQ(client.status(late), static_cast<int>(StatusCode::kDeadlineExceeded));
  const auto left = client.call("/test/Wait");
  ASSERT_TRUE(client.talk_until([&] { return server.server().calls() == 1; }));
  client.peer().reset(left);
  ASSERT_TRUE(client.talk_until([&] { return server.server().calls() == 0; }));
  EXPECT_EQ(cancelled, 2);
  {
    Client other{server};
    other.call("/test/Wait");
    ASSERT_TRUE(other.talk_until([&] { return server.server().calls() == 1; }));
  }
  ASSERT_TRUE(client.talk_until([&] { return server.server().calls() == 0; }));
  EXPECT_EQ(cancelled, 3);
}

TEST(RpcServer, DrainsAndCloses) {
  TestServer server{kEcho};
  Client client{server};
  const auto call = client.call("/test.Echo/Stream");
  client.send(call, "one");
  ASSERT_TRUE(client.talk_until([&] { return client.messages(call).size() == 1; }));
  server.server().drain();
  ASSERT_TRUE(client.talk_until([&] { return client.peer().going_away(); }));
  client.send(call, "two", true);
  EXPECT_EQ(client.status(call), 0) << "what was begun goes on";
}

TEST(HealthService, SaysWhichServicesServe) {
  const HealthService health{.services = {"", "ready", "lost"},
                             .is_serving = [](std::string_view name) { return name != "lost"; }};
  TestServer server{health.methods()};
  Client client{server};
  const auto verdict = [&](std::string_view service) -> std::string {
    const auto call = client.call("/grpc.health.v1.Health/Check");
    client.send(call, WireWriter{}.bytes(1, service).text(), true);
    if (client.status(call) != 0) return "failed";
    return client.messages(call).at(0);
  };
  EXPECT_EQ(verdict(""), "\x08\x01");
  EXPECT_EQ(verdict("ready"), "\x08\x01");
  EXPECT_EQ(verdict("lost"), "\x08\x02");
  EXPECT_EQ(verdict("unknown"), "\x08\x03");
  const auto watch = client.call("/grpc.health.v1.Health/Watch");
  EXPECT_EQ(client.status(watch), static_cast<int>(StatusCode::kUnimplemented));
}

TEST(ParseTimeout, ReadsWhatGrpcWrites) {
  EXPECT_EQ(parse_timeout("1H"), std::chrono::hours{1});
  EXPECT_EQ(parse_timeout("90S"), seconds{90});
  EXPECT_EQ(parse_timeout("99999999M"), std::chrono::hours{24 * 365});
  EXPECT_EQ(parse_timeout("99999999H"), std::chrono::hours{24 * 365});
  EXPECT_EQ(parse_timeout("100m"), milliseconds{100});
  EXPECT_EQ(parse_timeout("7n"), std::chrono::nanoseconds{7});
  for (const std::string_view odd : {"", "m", "1", "-1m", "1x", "999999999m", " 1m", "1.5S"})
    EXPECT_FALSE(parse_timeout(odd)) << odd;
}

}  // namespace
}  // namespace llmd::rpc
