#include "net/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "net/server.h"
#include "net/testing/raw_peer.h"
#include "runtime/testing/loop_thread.h"

namespace llmd::net {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testkit::LoopThread;
using testkit::RawConnection;
using testkit::RawPeer;

/// What a call came to, as one text: "200 body", or the error as text.
Task<std::string> fetch(Client* client, Address address, std::string method, std::string body, CancelToken* token) {
  Headers headers;
  headers.add("X-Test", "1");
  headers.add("X-Bad", "a\r\nInjected: yes");
  const ClientRequest request{.method = method, .target = "/t", .headers = &headers, .body = body};
  auto response = co_await client->send(address, request, token);
  if (!response) co_return response.error().to_string();
  auto rest = co_await (*response)->read_all(10'000'000);
  if (!rest) co_return rest.error().to_string();
  co_return std::to_string((*response)->status()) + " " + *rest;
}

Task<void> store(Task<std::string> call, std::shared_ptr<std::promise<std::string>> result) {
  result->set_value(co_await std::move(call));
}

class ClientTest : public testing::Test {
 protected:
  void make(ClientOptions options = {}) {
    thread_.call([&] { client_ = std::make_unique<Client>(thread_.loop(), options); });
  }
  ~ClientTest() override {
    thread_.call([&] { client_.reset(); });
  }
  /// Starts a call on the loop; the test drives the peer meanwhile.
  std::future<std::string> start(std::string method = "GET", std::string body = {}, CancelToken* token = nullptr) {
    return start_at(peer_.address(), std::move(method), std::move(body), token);
  }
  std::future<std::string> start_at(Address address, std::string method = "GET", std::string body = {},
                                    CancelToken* token = nullptr) {
    if (!client_) make();
    auto result = std::make_shared<std::promise<std::string>>();
    thread_.loop().spawn(
        store(fetch(client_.get(), std::move(address), std::move(method), std::move(body), token), result));
    return result->get_future();
  }
  static std::string text_of(std::future<std::string>& call) {
    return call.wait_for(std::chrono::seconds{20}) == std::future_status::ready ? call.get() : "hangs";
  }
  std::size_t connections() {
    return thread_.call([&] { return client_->connections(); });
  }

  RawPeer peer_;
  LoopThread thread_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, SendsACleanRequestAndReusesTheConnection) {
  auto first = start("POST", "hello");
  RawConnection upstream = peer_.accept();
  EXPECT_EQ(upstream.read_message(), "POST /t HTTP/1.1\r\nX-Test: 1\r\nHost: " + peer_.address().to_string() +
                                         "\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(upstream.send("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"));
  EXPECT_EQ(text_of(first), "201 ok");
  auto second = start();
  EXPECT_THAT(upstream.read_until("\r\n\r\n"), StartsWith("GET /t HTTP/1.1\r\n"));
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(text_of(second), "200 ");
  EXPECT_EQ(connections(), 1U);
}

struct Answer {
  std::string name;
  std::string text;
  bool close_after;
};

TEST_F(ClientTest, ReadsAnAnswerWhereverItIsCut) {
  const std::vector<Answer> answers{
      {"length", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none two!", false},
      {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none \r\n4\r\ntwo!\r\n0\r\n\r\n", false},
      {"until close", "HTTP/1.1 200 OK\r\n\r\none two!", true},
      {"interim",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
       "one two!",
       false},
  };
  for (const Answer& answer : answers) {
    RawConnection upstream;
    for (std::size_t cut = 1; cut <= answer.text.size(); ++cut) {
      auto call = start();
      if (!upstream.is_open()) upstream = peer_.accept();
      ASSERT_THAT(upstream.read_until("\r\n\r\n"), StartsWith("GET")) << answer.name << " " << cut;
      ASSERT_TRUE(upstream.send(answer.text.substr(0, cut)));
      std::this_thread::yield();
      ASSERT_TRUE(upstream.send(answer.text.substr(cut)));
      if (answer.close_after) upstream.close();
      ASSERT_EQ(text_of(call), "200 one two!") << answer.name << ", cut at " << cut;
    }
  }
}

TEST_F(ClientTest, ReplacesAPooledConnectionThatClosedWhileIdle) {
  auto first = start();
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
  EXPECT_EQ(text_of(first), "200 a");
  upstream.close();
  auto second = start();
  RawConnection fresh = peer_.accept();
  fresh.read_until("\r\n\r\n");
  ASSERT_TRUE(fresh.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"));
  EXPECT_EQ(text_of(second), "200 b");
}

TEST_F(ClientTest, ReplacesAPooledConnectionOnceIfNoByteOfAnAnswerCame) {
  auto first = start();
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
  EXPECT_EQ(text_of(first), "200 a");
  auto second = start("POST", "body");
  EXPECT_THAT(upstream.read_message(), StartsWith("POST"));
  upstream.reset();
  RawConnection fresh = peer_.accept();
  EXPECT_THAT(fresh.read_message(), testing::EndsWith("body"));
  fresh.close();
  EXPECT_THAT(text_of(second), StartsWith("connection_closed: "));
  EXPECT_FALSE(peer_.accept(milliseconds{50}).is_open()) << "no third attempt";
}

TEST_F(ClientTest, DoesNotRepeatACallWhoseAnswerHadBegun) {
  auto first = start();
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
  EXPECT_EQ(text_of(first), "200 a");
  auto second = start();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 2"));
  upstream.close();
  EXPECT_THAT(text_of(second), StartsWith("connection_closed: "));
  EXPECT_FALSE(peer_.accept(milliseconds{50}).is_open());
}

struct Broken {
  std::string name;
  std::string answer;
  std::string error;
};

TEST_F(ClientTest, TellsCutAnswersAndProtocolErrorsApart) {
  ClientOptions options;
  options.header_bytes_max = 64 * 1024;
  make(options);
  std::string interim;
  for (int i = 0; i < 17; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  const std::vector<Broken> cases{
      {"nothing", "", "connection_closed: "},
      {"cut head", "HTTP/1.1 200 OK\r\nConte", "connection_closed: "},
      {"cut length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "connection_closed: "},
      {"cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "connection_closed: "},
      {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "connection_closed: "},
      {"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol: "},
      {"not http", "SSH-2.0-OpenSSH_9\r\n\r\n", "protocol: "},
      {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "protocol: "},
      {"upgrade", "HTTP/1.1 101 Switching\r\n\r\n", "protocol: "},
      {"endless interim", interim, "protocol: "},
      {"endless head", "HTTP/1.1 200 OK\r\nA: " + std::string(70'000, 'a'), "protocol: "},
      {"too long for the caller", "HTTP/1.1 200 OK\r\nContent-Length: 10000001\r\n\r\n", "body_too_large: "},
  };
  for (const Broken& c : cases) {
    auto call = start();
    RawConnection upstream = peer_.accept();
    upstream.read_until("\r\n\r\n");
    upstream.send(c.answer);
    upstream.shut_down_output();
    EXPECT_THAT(text_of(call), StartsWith(c.error)) << c.name;
  }
  EXPECT_EQ(connections(), 0U);
}

TEST_F(ClientTest, DoesNotTakeAResetForTheEndOfAnAnswer) {
  auto call = start();
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\n\r\npart"));
  upstream.reset();
  EXPECT_THAT(text_of(call), StartsWith("connection_closed: "));
}

TEST_F(ClientTest, DoesNotReuseAConnectionWithBytesAfterTheAnswer) {
  auto call = start();
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(
      upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
  EXPECT_EQ(text_of(call), "200 a");
  EXPECT_TRUE(upstream.closed_by_peer());
}

TEST_F(ClientTest, GivesUpWhenADeadlinePassesAndNamesTheWait) {
  ClientOptions options;
  options.response_timeout = milliseconds{30};
  options.read_timeout = milliseconds{30};
  make(options);
  auto silent = start();
  RawConnection upstream = peer_.accept();
  EXPECT_EQ(text_of(silent),
            "deadline_exceeded: " + peer_.address().to_string() + ": waiting for the answer took longer than 30 ms");
  auto stalled = start();
  upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
  EXPECT_THAT(text_of(stalled), HasSubstr("waiting for more of the answer's body took longer than 30 ms"));
  EXPECT_TRUE(upstream.closed_by_peer());
}

TEST_F(ClientTest, GivesUpConnectingWhenTheBacklogIsFull) {
  ClientOptions options;
  options.connect_timeout = milliseconds{50};
  make(options);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof to;
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&to), length), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&to), &length), 0);
  const Address address{.host = "127.0.0.1", .port = ntohs(to.sin_port), .unix_path = {}};
  const RawConnection filling = RawConnection::connect(address);
  auto call = start_at(address);
  EXPECT_THAT(text_of(call), HasSubstr("connecting took longer than 50 ms"));
  EXPECT_EQ(connections(), 0U);
  ::close(fd);
}

TEST_F(ClientTest, SaysWhichAddressRefuses) {
  const Address address = peer_.address();
  peer_.stop_listening();
  auto call = start_at(address);
  EXPECT_EQ(text_of(call), "connection_refused: cannot connect to " + address.to_string() +
                               ": Connection refused (is the server running there?)");
}

TEST_F(ClientTest, EndsAtOnceWhenItIsCancelled) {
  CancelToken token;
  auto waiting = start("GET", {}, &token);
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  thread_.call([&] { token.cancel(); });
  EXPECT_THAT(text_of(waiting), StartsWith("cancelled: "));
  EXPECT_TRUE(upstream.closed_by_peer());
  auto already = start("GET", {}, &token);
  EXPECT_THAT(text_of(already), HasSubstr("cancelled before the request"));

  CancelToken in_body;
  auto reading = start("GET", {}, &in_body);
  upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"));
  thread_.call([&] { in_body.cancel(); });
  EXPECT_THAT(text_of(reading), StartsWith("cancelled: "));
  EXPECT_TRUE(upstream.closed_by_peer());
}

TEST_F(ClientTest, CancelsAllCallsThatShareAToken) {
  CancelToken token;
  auto first = start("GET", {}, &token);
  RawConnection one = peer_.accept();
  auto second = start("GET", {}, &token);
  RawConnection two = peer_.accept();
  two.read_until("\r\n\r\n");
  thread_.call([&] { token.cancel(); });
  EXPECT_THAT(text_of(first), StartsWith("cancelled: "));
  EXPECT_THAT(text_of(second), StartsWith("cancelled: "));
}

Task<std::string> fetch_head_only(Client* client, Address address) {
  auto response = co_await client->send(address, ClientRequest{}, nullptr);
  if (!response) co_return response.error().to_string();
  co_return std::to_string((*response)->status());
}

TEST_F(ClientTest, ClosesTheConnectionOfAnAnswerThatIsDroppedEarly) {
  make();
  auto result = std::make_shared<std::promise<std::string>>();
  auto call = result->get_future();
  thread_.loop().spawn(store(fetch_head_only(client_.get(), peer_.address()), result));
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
  EXPECT_EQ(text_of(call), "200");
  EXPECT_TRUE(upstream.closed_by_peer());
  EXPECT_EQ(connections(), 0U);
}

TEST_F(ClientTest, TakesAnAnswerThatComesBeforeItsRequestIsRead) {
  auto call = start("POST", std::string(9'000'000, 'x'));
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"));
  upstream.shut_down_output();
  EXPECT_TRUE(upstream.closed_by_peer());  // reads the rest, as a server that lingers does
  EXPECT_EQ(text_of(call), "413 no");
}

TEST_F(ClientTest, ClosesIdleConnectionsAfterTheirTime) {
  ClientOptions options;
  options.idle_timeout = milliseconds{20};
  make(options);
  auto call = start();
  RawConnection upstream = peer_.accept();
  upstream.read_until("\r\n\r\n");
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(text_of(call), "200 ");
  EXPECT_TRUE(upstream.closed_by_peer());
  EXPECT_EQ(connections(), 0U);
}

TEST_F(ClientTest, LooksHostNamesUp) {
  auto call = start_at(Address{.host = "localhost", .port = peer_.address().port, .unix_path = {}});
  RawConnection upstream = peer_.accept();
  EXPECT_THAT(upstream.read_until("\r\n\r\n"), HasSubstr("\r\nHost: localhost:"));
  ASSERT_TRUE(upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(text_of(call), "200 ");
}

TEST_F(ClientTest, CarriesLargeBodiesBothWaysOverAUnixSocket) {
  Handler echo = [](Request request, Exchange& exchange) -> Task<void> {
    Response response{.body = std::move(request.body)};
    [[maybe_unused]] const auto sent = co_await exchange.respond(std::move(response));
  };
  LoopThread server_thread;
  const Address address{.host = {}, .unix_path = testing::TempDir() + "llmd_client_" + std::to_string(::getpid())};
  auto server = Server::listen({&server_thread.loop()}, {.listen = address}, echo);
  ASSERT_TRUE(server.has_value()) << server.error().to_string();
  for (const std::size_t size : {0U, 1U, 4'096U, 70'000U, 3'000'000U}) {
    std::string body;
    while (body.size() < size) body += std::to_string(body.size());
    body.resize(size);
    auto call = start_at(address, "POST", body);
    EXPECT_TRUE(text_of(call) == "200 " + body) << size;
  }
  EXPECT_EQ(connections(), 1U);
}

}  // namespace
}  // namespace llmd::net
