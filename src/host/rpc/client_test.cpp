#include "rpc/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "base/percent_decoding.h"
#include "net/tls_server.h"
#include "rpc/server.h"
#include "rpc/testing/echo.h"
#include "runtime/testing/loop_thread.h"
#include "runtime/testing/run.h"

namespace llmd::rpc {
namespace {

using testing::HasSubstr;
using testkit::echo;
using testkit::LoopThread;
using testkit::pieces;
using testkit::run_task;
using Methods = std::map<std::string, Method, std::less<>>;

Task<Status> refuse(ServerCall& /*call*/) {
  co_return Status{.code = StatusCode::kFailedPrecondition, .message = "not now: 5 % of ümlauts"};
}
Task<Status> wait_forever(ServerCall& call) {
  while (!call.cancelled()) co_await sleep_for(milliseconds{1});
  co_return Status{};
}
Task<Status> metadata(ServerCall& call) {
  const auto sent = co_await call.write(pieces(std::string{call.metadata().get("x-test").value_or("none")}));
  co_return sent ? Status{} : status_of(sent.error());
}
Task<Status> twice(ServerCall& call) {
  for (int i = 0; i < 2; ++i) {
    const auto sent = co_await call.write(pieces("again"));
    if (!sent) co_return status_of(sent.error());
  }
  co_return Status{};
}

const Methods kMethods{{"/t/Echo", echo},
                       {"/t/Refuse", refuse},
                       {"/t/Wait", wait_forever},
                       {"/t/Metadata", metadata},
                       {"/t/Twice", twice}};

class TestServer {
 public:
  explicit TestServer(ServerOptions options = {}) {
    if (options.h2.listen.host.empty()) options.h2.listen = {.host = "127.0.0.1", .port = 0, .unix_path = {}};
    auto server = Server::listen({&thread_.loop()}, std::move(options), kMethods);
    EXPECT_TRUE(server.has_value()) << server.error().to_string();
    server_ = std::move(*server);
  }
  [[nodiscard]] Server& operator*() noexcept { return *server_; }
  [[nodiscard]] ChannelOptions options() const { return {.address = server_->address()}; }

 private:
  LoopThread thread_;
  std::unique_ptr<Server> server_;
};

TEST(RpcClient, AsksAndIsAnswered) {
  TestServer server;
  Loop loop{"client"};
  Channel channel{loop, server.options()};
  run_task(loop, [](Channel& to) -> Task<void> {
    const auto small = co_await to.ask("/t/Echo", "hello", {}, seconds{5});
    EXPECT_EQ(small.value_or(""), "hello");
    const auto empty = co_await to.ask("/t/Echo", "", {}, Duration::zero());
    EXPECT_TRUE(empty && empty->empty());
    const std::string megabyte(1'000'000, 'x');
    const auto large = co_await to.ask("/t/Echo", megabyte, {}, seconds{5});
    EXPECT_EQ(large.value_or(""), megabyte);
    net::Headers fields;
    fields.add("x-test", "a value");
    const auto told = co_await to.ask("/t/Metadata", "", std::move(fields), seconds{5});
    EXPECT_EQ(told.value_or(""), "a value");
  }(channel));
}

TEST(RpcClient, TellsTheServersStatus) {
  TestServer server;
  Loop loop{"client"};
  Channel channel{loop, server.options()};
  run_task(loop, [](Channel& to) -> Task<void> {
    const auto refused = co_await to.ask("/t/Refuse", "", {}, seconds{5});
    EXPECT_EQ(refused.error().code, ErrorCode::kUpstreamFailed);
    EXPECT_EQ(refused.error().what, "gRPC status 9: not now: 5 % of ümlauts");
    const auto unknown = co_await to.ask("/t/Other", "", {}, seconds{5});
    EXPECT_THAT(unknown.error().what, HasSubstr("gRPC status 12: no such method"));
    const auto twofold = co_await to.ask("/t/Twice", "", {}, seconds{5});
    EXPECT_EQ(twofold.error().code, ErrorCode::kProtocol);
  }(channel));
}

TEST(RpcClient, StreamsBothWays) {
  TestServer server;
  Loop loop{"client"};
  Channel channel{loop, server.options()};
  run_task(loop, [](Channel& to) -> Task<void> {
    auto call = co_await to.open("/t/Echo", {}, Duration::zero());
    EXPECT_TRUE(call);
    for (int i = 0; i < 100; ++i) {
      const auto written = co_await (*call)->write(pieces(std::to_string(i)));
      EXPECT_TRUE(written);
    }
    for (int i = 0; i < 100; ++i) {
      const auto message = co_await (*call)->read();
      EXPECT_EQ(message.value().value_or("none"), std::to_string(i));
    }
    (*call)->finish_writing();
    const auto end = co_await (*call)->read();
    EXPECT_TRUE(end && !end->has_value());
    EXPECT_TRUE((*call)->status().ok());
  }(channel));
}

TEST(RpcClient, GivesUpAtItsDeadlineOrWhenItWantsNoMore) {
  TestServer server;
  Loop loop{"client"};
  Channel channel{loop, server.options()};
  run_task(loop, [](Channel& to) -> Task<void> {
    const auto late = co_await to.ask("/t/Wait", "", {}, milliseconds{50});
    EXPECT_TRUE(late.error().code == ErrorCode::kDeadlineExceeded || late.error().code == ErrorCode::kUpstreamFailed)
        << late.error().to_string();
    auto call = co_await to.open("/t/Wait", {}, Duration::zero());
    (*call)->cancel();
    const auto read = co_await (*call)->read();
    EXPECT_EQ(read.error().code, ErrorCode::kCancelled);
    EXPECT_EQ((*call)->status().code, StatusCode::kCancelled);
    call->reset();
    const auto next = co_await to.ask("/t/Echo", "still there", {}, seconds{5});
    EXPECT_EQ(next.value_or(""), "still there") << (next ? "" : next.error().to_string());
  }(channel));
  Loop other{"waits"};
  testkit::run_until(other, [&] { return (*server).calls() == 0; });
}

/// A server that ends a call while its client still writes.
TEST(RpcClient, WritesNoMoreOnceTheServerHasEnded) {
  TestServer server;
  Loop loop{"client"};
  Channel channel{loop, server.options()};
  run_task(loop, [](Channel& to) -> Task<void> {
    auto call = co_await to.open("/t/Refuse", {}, Duration::zero());
    Result<void> written;
    for (int i = 0; i < 100 && written; ++i) written = co_await (*call)->write(pieces(std::string(100'000, 'x')));
    EXPECT_FALSE(written) << "ten megabytes do not go to a server that reads nothing";
    const auto read = co_await (*call)->read();
    EXPECT_TRUE(read && !read->has_value());
    EXPECT_EQ((*call)->status().code, StatusCode::kFailedPrecondition);
  }(channel));
}

TEST(RpcClient, ConnectsAnewAndNotTooOften) {
  Loop loop{"client"};
  auto first = std::make_unique<TestServer>();
  ChannelOptions options = first->options();
  options.pause_min = options.pause_max = milliseconds{300};
  Channel channel{loop, options};
  std::unique_ptr<TestServer> second;
  run_task(loop,
           [](Channel& to, std::unique_ptr<TestServer>& gone, std::unique_ptr<TestServer>& back,
              net::Address address) -> Task<void> {
             const auto before = co_await to.ask("/t/Echo", "1", {}, seconds{5});
             EXPECT_TRUE(before);
             auto call = co_await to.open("/t/Wait", {}, Duration::zero());
             (**gone).close();
             const auto cut = co_await (*call)->read();
             EXPECT_EQ(cut.error().code, ErrorCode::kConnectionClosed) << cut.error().to_string();
             EXPECT_EQ((*call)->status().code, StatusCode::kCancelled);
             gone.reset();
             const auto refused = co_await to.ask("/t/Echo", "2", {}, seconds{5});
             EXPECT_EQ(refused.error().code, ErrorCode::kConnectionRefused);
             back = std::make_unique<TestServer>(ServerOptions{.h2 = {.listen = address}});
             const auto at_once = co_await to.ask("/t/Echo", "3", {}, seconds{5});
             EXPECT_EQ(at_once.error().code, ErrorCode::kConnectionRefused) << "no attempt within the pause";
             co_await sleep_for(milliseconds{350});
             const auto after = co_await to.ask("/t/Echo", "4", {}, seconds{5});
             EXPECT_EQ(after.value_or(""), "4");
           }(channel, first, second, options.address));
}

TEST(RpcClient, SpeaksTls) {
  auto made = net::TlsServer::make({});
  ASSERT_TRUE(made);
  ServerOptions secure;
  secure.h2.tls = *made;
  TestServer server{secure};
  Loop loop{"client"};
  ChannelOptions options = server.options();
  options.address.tls = true;
  Channel untrusting{loop, [&] {
                       ChannelOptions strict = options;
                       strict.tls = net::TlsClient::make({}).value();
                       return strict;
                     }()};
  options.tls = net::TlsClient::make({.insecure = true}).value();
  Channel trusting{loop, options};
  run_task(loop, [](Channel& strict, Channel& lax) -> Task<void> {
    const auto refused = co_await strict.ask("/t/Echo", "x", {}, seconds{5});
    EXPECT_EQ(refused.error().code, ErrorCode::kProtocol) << refused.error().to_string();
    const auto answered = co_await lax.ask("/t/Echo", "x", {}, seconds{5});
    EXPECT_EQ(answered.value_or(""), "x");
  }(untrusting, trusting));
}

TEST(RpcStatus, DecodesWhatItEncodes) {
  for (const std::string_view text : {"", "plain", "5 %", "100%zz", "ümlaut\n", "%", "%4"}) {
    EXPECT_EQ(percent_decoded(percent_encoded(text)), text);
  }
  EXPECT_EQ(percent_decoded("a%2"), "a%2");
  EXPECT_EQ(percent_decoded("%zz%41"), "%zzA");
}

}  // namespace
}  // namespace llmd::rpc
