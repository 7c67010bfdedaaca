#include "net/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>

#include "net/testing/raw_peer.h"
#include "runtime/testing/loop_thread.h"

namespace llmd::net {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testkit::LoopThread;
using testkit::RawConnection;

/// A server on a thread of its own, on a free port of the loopback interface.
class TestServer {
 public:
  explicit TestServer(Handler handler, ServerOptions options = {}) {
    if (options.listen == Address{}) options.listen = Address{.host = "127.0.0.1", .port = 0, .unix_path = {}};
    auto server = Server::listen({&thread_.loop()}, std::move(options), std::move(handler));
    EXPECT_TRUE(server.has_value()) << server.error().to_string();
    server_ = std::move(*server);
  }
  [[nodiscard]] RawConnection connect() const { return RawConnection::connect(server_->address()); }
  [[nodiscard]] Server& server() noexcept { return *server_; }
  [[nodiscard]] LoopThread& thread() noexcept { return thread_; }

 private:
  LoopThread thread_;
  std::unique_ptr<Server> server_;
};

/// Answers with what it got: method, target, body.
Task<void> mirror(Request request, Exchange& exchange) {
  Response response;
  response.headers.add("X-Peer", request.peer);
  response.body = request.method + " " + request.target + " " + request.body;
  [[maybe_unused]] const auto sent = co_await exchange.respond(std::move(response));
}

bool holds_within(const std::function<bool()>& condition, Duration limit = seconds{10}) {
  const TimePoint deadline = SteadyClock::now() + limit;
  while (!condition() && SteadyClock::now() < deadline) std::this_thread::yield();
  return condition();
}

TEST(Server, WithoutAHostIsReachedByBothProtocols) {
  LoopThread thread;
  ServerOptions options;
  options.listen = {.host = "", .port = 0, .unix_path = {}};
  const auto server = Server::listen({&thread.loop()}, std::move(options), mirror);
  ASSERT_TRUE(server) << server.error().to_string();
  const Address bound = (*server)->address();
  for (const char* host : {"127.0.0.1", "::1"}) {
    if (bound.host == "0.0.0.0" && std::string_view{host} == "::1") continue;  // a machine without IPv6
    auto client = RawConnection::connect({.host = host, .port = bound.port, .unix_path = {}});
    client.send("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const std::string from = std::string_view{host} == "::1" ? "[::1]:" : "127.0.0.1:";
    EXPECT_THAT(client.read_to_end(), HasSubstr("X-Peer: " + from));
  }
}

std::string post(std::string_view body) {
  return fmt::format("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

TEST(Server, AnswersPipelinedRequestsInOrderOnOneConnection) {
  TestServer server{mirror};
  RawConnection client = server.connect();
  ASSERT_TRUE(
      client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n" + post("two") + "\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(client.read_message(), HasSubstr("\r\n\r\nGET /1 "));
  EXPECT_THAT(client.read_message(), HasSubstr("\r\n\r\nPOST /p two"));
  EXPECT_THAT(client.read_message(), HasSubstr("\r\n\r\nGET /3 "));
}

TEST(Server, UnderstandsARequestThatComesByteByByte) {
  TestServer server{mirror};
  RawConnection client = server.connect();
  const std::string chunked =
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n";
  for (const std::string& text : {post("body"), chunked}) {
    for (const char byte : text) ASSERT_TRUE(client.send({&byte, 1}));
    EXPECT_THAT(client.read_message(), HasSubstr(text == chunked ? "POST /c abcde" : "POST /p body"));
  }
}

TEST(Server, UnderstandsARequestWhereverItIsCut) {
  TestServer server{mirror};
  const std::string text = post("body") + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
  RawConnection client = server.connect();
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    ASSERT_TRUE(client.send(text.substr(0, cut)));
    std::this_thread::yield();
    ASSERT_TRUE(client.send(text.substr(cut)));
    ASSERT_THAT(client.read_message(), HasSubstr("POST /p body")) << cut;
    ASSERT_THAT(client.read_message(), HasSubstr("GET /next ")) << cut;
  }
}

TEST(Server, TakesAndGivesBodiesOfManyReads) {
  TestServer server{mirror};
  RawConnection client = server.connect();
  std::string body;
  for (int i = 0; body.size() < 5'000'000; ++i) body += std::to_string(i);
  std::thread sender{[&] { EXPECT_TRUE(client.send(post(body))); }};
  const std::string answer = client.read_message();
  sender.join();
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), "POST /p " + body);
}

struct Refusal {
  std::string name;
  std::string request;
  std::string status;
  std::string code;
};

TEST(Server, AnswersWhatItRefusesWithAnErrorAndCloses) {
  ServerOptions options;
  options.limits.header_bytes_max = 4096;
  options.limits.body_bytes_max = 1000;
  TestServer server{mirror, std::move(options)};
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::vector<Refusal> cases{
      {"garbage", "\x16\x03\x01 hello\r\n\r\n", "400", "invalid_request"},
      {"smuggling", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400", "invalid_request"},
      {"long head", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(10'000, 'a'), "431", "header_too_large"},
      {"long complete head", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(4'100, 'a') + "\r\n\r\n", "431",
       "header_too_large"},
      {"long body", post(std::string(1'001, 'b')), "413", "body_too_large"},
      {"long chunked body", chunked + "3e9\r\n" + std::string(1'001, 'c') + "\r\n0\r\n\r\n", "413", "body_too_large"},
      {"bad chunk", chunked + "xyz\r\n", "400", "invalid_request"},
      {"tunnel", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "405", "method_not_allowed"},
  };
  for (const Refusal& c : cases) {
    RawConnection client = server.connect();
    ASSERT_TRUE(client.send(c.request)) << c.name;
    const std::string answer = client.read_to_end();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + c.status + " ")) << c.name;
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n")) << c.name;
    EXPECT_THAT(answer, HasSubstr("\"param\":null,\"code\":\"" + c.code + "\"}}")) << c.name;
  }
}

TEST(Server, LetsAClientThatStillSendsReadWhyItsBodyIsRefused) {
  ServerOptions options;
  options.limits.body_bytes_max = 1000;
  TestServer server{mirror, std::move(options)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send(post(std::string(3'000'000, 'b'))));
  EXPECT_THAT(client.read_message(), StartsWith("HTTP/1.1 413 "));
}

TEST(Server, RendersItsErrorsAsTheOwnerWants) {
  ServerOptions options;
  options.render_error = [](const Error& error) {
    return Response{.status = http_status(error.code), .headers = {}, .body = "own: " + error.what};
  };
  TestServer server{mirror, std::move(options)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET nowhere HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(client.read_to_end(), HasSubstr("\r\n\r\nown: the target is not a path"));
}

TEST(Server, RefusesABodyWhenTheBudgetIsSpentAndGivesTheBytesBack) {
  Budget budget{"bodies", 1'000};
  ServerOptions options;
  options.body_budget = &budget;
  TestServer server{mirror, std::move(options)};
  RawConnection first = server.connect();
  ASSERT_TRUE(first.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\nx"));
  ASSERT_TRUE(holds_within([&] { return budget.used_bytes() == 900; }));
  RawConnection second = server.connect();
  ASSERT_TRUE(second.send(post(std::string(200, 'y'))));
  EXPECT_THAT(second.read_to_end(), StartsWith("HTTP/1.1 503 "));
  ASSERT_TRUE(first.send(std::string(899, 'x')));
  EXPECT_THAT(first.read_message(), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(holds_within([&] { return budget.used_bytes() == 0; }));
}

TEST(Server, EndsSlowHeadsAndBodiesWith408AndIdleConnectionsSilently) {
  ServerOptions options;
  options.limits.header_timeout = milliseconds{30};
  options.limits.body_timeout = milliseconds{30};
  options.limits.idle_timeout = milliseconds{30};
  TestServer server{mirror, std::move(options)};
  RawConnection idle = server.connect();
  EXPECT_EQ(idle.read_to_end(), "");
  RawConnection slow_head = server.connect();
  ASSERT_TRUE(slow_head.send("GET / HT"));
  EXPECT_THAT(slow_head.read_to_end(), StartsWith("HTTP/1.1 408 "));
  RawConnection slow_body = server.connect();
  ASSERT_TRUE(slow_body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"));
  const std::string answer = slow_body.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer, HasSubstr("the body stopped at 3 bytes for 30 ms"));
}

TEST(Server, DoesNotLetABodyLiveOnByOneKilobyteAtATime) {
  ServerOptions options;
  options.limits.body_timeout = milliseconds{2'000};
  options.limits.body_time_max = milliseconds{100};
  TestServer server{mirror, std::move(options)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n"));
  const TimePoint start = SteadyClock::now();
  const std::string piece(1'100, 'b');
  bool sent = true;
  while (sent && SteadyClock::now() - start < seconds{10} && !client.readable(milliseconds{5})) {
    sent = client.send(piece);
  }
  EXPECT_LT(SteadyClock::now() - start, milliseconds{1'500});
  EXPECT_THAT(client.read_to_end(), HasSubstr("the body was not complete after 100 ms"));
}

TEST(Server, DoesNotLetAHeadLiveOnByOneByteAtATime) {
  ServerOptions options;
  options.limits.header_timeout = milliseconds{60};
  TestServer server{mirror, std::move(options)};
  RawConnection client = server.connect();
  const TimePoint start = SteadyClock::now();
  bool sent = client.send("GET / HTTP/1.1\r\nA: ");
  while (sent && SteadyClock::now() - start < seconds{10} && !client.readable(milliseconds{5})) sent = client.send("a");
  EXPECT_THAT(client.read_to_end(), StartsWith("HTTP/1.1 408 "));
  EXPECT_LT(SteadyClock::now() - start, seconds{8});
}

TEST(Server, ClosesTheConnectionOfAClientThatDoesNotRead) {
  std::atomic<int> code{0};
  Handler handler = [&code](Request, Exchange& exchange) -> Task<void> {
    Response response{.body = std::string(50'000'000, 'x')};
    const auto sent = co_await exchange.respond(std::move(response));
    code = sent ? -1 : static_cast<int>(sent.error().code);
  };
  ServerOptions options;
  options.limits.write_timeout = milliseconds{50};
  TestServer server{std::move(handler), std::move(options)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(holds_within([&] { return code != 0; }));
  EXPECT_EQ(code, static_cast<int>(ErrorCode::kDeadlineExceeded));
  EXPECT_TRUE(client.closed_by_peer());
}

TEST(Server, AsksForABodyThatIsAnnouncedWithExpect) {
  TestServer server{mirror};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(client.send("abc"));
  EXPECT_THAT(client.read_message(), HasSubstr("POST /e abc"));
}

TEST(Server, AnswersHeadWithTheLengthButNoBody) {
  TestServer server{mirror};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /g HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("\r\nContent-Length: 8\r\n"));
  EXPECT_THAT(client.read_message(), HasSubstr("GET /g "));
}

Task<void> stream_two(Request request, Exchange& exchange) {
  Headers headers;
  headers.add("X-Bad", "a\r\nInjected: yes");
  if (request.target == "/length") headers.add("Content-Length", "6");
  if (!co_await exchange.start(200, std::move(headers))) co_return;
  if (!co_await exchange.write("one")) co_return;
  if (!co_await exchange.write("two")) co_return;
  [[maybe_unused]] const auto done = co_await exchange.finish();
}

TEST(Server, StreamsInChunksWithALengthOrUntilClose) {
  TestServer server{stream_two};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  const std::string chunked = client.read_until("0\r\n\r\n");
  EXPECT_THAT(chunked, HasSubstr("\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  EXPECT_THAT(chunked, Not(HasSubstr("Injected")));
  ASSERT_TRUE(client.send("GET /length HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(client.read_message(), HasSubstr("\r\nContent-Length: 6\r\n\r\nonetwo"));
  ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(client.read_to_end(), HasSubstr("\r\nConnection: close\r\n\r\nonetwo"));
}

TEST(Server, SendsTheHeadOfAStreamBeforeItsFirstPiece) {
  Handler handler = [](Request, Exchange& exchange) -> Task<void> {
    if (!co_await exchange.start(200, {})) co_return;
    bool gone = false;
    exchange.on_disconnect([&gone] { gone = true; });
    while (!gone) co_await sleep_for(milliseconds{1});
  };
  TestServer server{std::move(handler)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK"));
}

TEST(Server, TellsAHandlerOnceThatItsClientIsGoneThoughBytesWerePipelined) {
  std::atomic<int> told{0};
  std::atomic<bool> write_failed{false};
  Handler handler = [&](Request, Exchange& exchange) -> Task<void> {
    exchange.on_disconnect([&] { ++told; });
    while (told == 0) co_await sleep_for(milliseconds{1});
    const auto started = co_await exchange.start(200, {});
    write_failed = !started && started.error().code == ErrorCode::kConnectionClosed;
    exchange.on_disconnect([&] { ++told; });  // at once
  };
  TestServer server{std::move(handler)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /pipelined HTTP/1.1\r\n"));
  ASSERT_TRUE(holds_within([&] { return server.server().in_flight() == 1; }));
  EXPECT_EQ(told, 0);
  client.close();
  EXPECT_TRUE(holds_within([&] { return told == 2; }));
  EXPECT_TRUE(holds_within([&] { return server.server().connections() == 0; }));
  EXPECT_TRUE(write_failed);
}

TEST(Server, AnswersAQuickRequestThoughTheClientHasClosedItsSide) {
  TestServer server{mirror};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET /half HTTP/1.1\r\nHost: h\r\n\r\n"));
  client.shut_down_output();
  EXPECT_THAT(client.read_to_end(), HasSubstr("GET /half "));
}

TEST(Server, TurnsAThrowingOrSilentHandlerIntoA500) {
  Handler handler = [](Request request, Exchange&) -> Task<void> {
    if (request.target == "/throw") throw std::runtime_error{"a bug"};
    co_return;
  };
  TestServer server{std::move(handler)};
  RawConnection client = server.connect();
  for (const std::string target : {"/throw", "/silent"}) {
    ASSERT_TRUE(client.send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_THAT(client.read_message(), HasSubstr("\"code\":\"internal\"")) << target;
  }
}

TEST(Server, CutsAStreamThatItsHandlerLeavesUnfinished) {
  Handler handler = [](Request, Exchange& exchange) -> Task<void> {
    if (!co_await exchange.start(200, {})) co_return;
    [[maybe_unused]] const auto sent = co_await exchange.write("part");
  };
  TestServer server{std::move(handler)};
  RawConnection client = server.connect();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(client.read_to_end(), testing::EndsWith("\r\n\r\n4\r\npart\r\n"));
}

TEST(Server, RefusesConnectionsBeyondTheLimit) {
  ServerOptions options;
  options.limits.connections_max = 1;
  TestServer server{mirror, std::move(options)};
  RawConnection first = server.connect();
  ASSERT_TRUE(first.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(first.read_message(), HasSubstr("GET /1"));
  RawConnection second = server.connect();
  EXPECT_THAT(second.read_to_end(), StartsWith("HTTP/1.1 503 "));
  first.close();
  ASSERT_TRUE(holds_within([&] { return server.server().connections() == 0; }));
  RawConnection third = server.connect();
  ASSERT_TRUE(third.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(third.read_message(), HasSubstr("GET /3"));
}

TEST(Server, ClosesIdleConnectionsAtDrainAndLetsTheOthersFinish) {
  std::atomic<bool> go{false};
  Handler handler = [&](Request, Exchange& exchange) -> Task<void> {
    while (!go) co_await sleep_for(milliseconds{1});
    Response response{.status = 204};
    [[maybe_unused]] const auto sent = co_await exchange.respond(std::move(response));
  };
  TestServer server{std::move(handler)};
  RawConnection idle = server.connect();
  RawConnection busy = server.connect();
  ASSERT_TRUE(busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(holds_within([&] { return server.server().in_flight() == 1 && server.server().connections() == 2; }));
  server.server().drain();
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_FALSE(server.connect().is_open());
  go = true;
  const std::string answer = busy.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 204 "));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
  EXPECT_TRUE(holds_within([&] { return server.server().connections() == 0; }));
}

TEST(Server, ClosesEverythingAtClose) {
  std::atomic<bool> told{false};
  Handler handler = [&](Request, Exchange& exchange) -> Task<void> {
    exchange.on_disconnect([&] { told = true; });
    while (!told) co_await sleep_for(milliseconds{1});
  };
  TestServer server{std::move(handler)};
  RawConnection busy = server.connect();
  ASSERT_TRUE(busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(holds_within([&] { return server.server().in_flight() == 1; }));
  server.server().close();
  EXPECT_TRUE(busy.closed_by_peer());
  EXPECT_TRUE(holds_within([&] { return server.server().connections() == 0; }));
}

TEST(Server, NamesThePortThatIsTaken) {
  TestServer server{mirror};
  LoopThread other;
  const auto second = Server::listen({&other.loop()}, {.listen = server.server().address()}, mirror);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
  EXPECT_THAT(second.error().what, HasSubstr(server.server().address().to_string()));
}

TEST(Server, DealsConnectionsOutToItsLoopsInTurn) {
  LoopThread first{"first"};
  LoopThread second{"second"};
  Handler handler = [](Request, Exchange& exchange) -> Task<void> {
    Response response{.body = exchange.loop().name()};
    [[maybe_unused]] const auto sent = co_await exchange.respond(std::move(response));
  };
  auto server = Server::listen({&first.loop(), &second.loop()}, {.listen = *Address::parse("127.0.0.1:0")}, handler);
  ASSERT_TRUE(server.has_value());
  std::multiset<std::string> seen;
  for (int i = 0; i < 6; ++i) {
    RawConnection client = RawConnection::connect((*server)->address());
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    const std::string answer = client.read_message();
    seen.insert(answer.substr(answer.find("\r\n\r\n") + 4));
  }
  EXPECT_EQ(seen.count("first"), 3U);
  EXPECT_EQ(seen.count("second"), 3U);
  server->reset();
}

class UnixServer : public testing::Test {
 protected:
  UnixServer() : path_{testing::TempDir() + "llmd_" + std::to_string(::getpid()) + ".sock"} {
    std::filesystem::remove(path_);
  }
  ~UnixServer() override { std::filesystem::remove(path_); }
  [[nodiscard]] ServerOptions options() const { return {.listen = Address{.host = {}, .unix_path = path_}}; }
  std::string path_;
};

TEST_F(UnixServer, ServesWithItsModeAndRemovesItsFile) {
  {
    TestServer server{mirror, options()};
    struct stat info{};
    ASSERT_EQ(::stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    RawConnection client = server.connect();
    ASSERT_TRUE(client.send("GET /u HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_THAT(client.read_message(), HasSubstr("X-Peer: unix:uid=" + std::to_string(::getuid())));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixServer, ReplacesAStaleFileButNotALiveOneOrAnotherKind) {
  LoopThread thread;
  const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path_.c_str(), sizeof to.sun_path - 1);
  ASSERT_EQ(::bind(stale, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  ::close(stale);
  auto server = Server::listen({&thread.loop()}, options(), mirror);
  ASSERT_TRUE(server.has_value()) << server.error().to_string();
  const auto second = Server::listen({&thread.loop()}, options(), mirror);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
  server->reset();
  ASSERT_TRUE(holds_within([&] { return !std::filesystem::exists(path_); }));
  ::close(::open(path_.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_FALSE(Server::listen({&thread.loop()}, options(), mirror).has_value());
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST(Server, GoesOnAfterItRanOutOfDescriptors) {
  TestServer server{mirror};
  RawConnection before = server.connect();
  ASSERT_TRUE(before.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(before.read_message(), HasSubstr("GET /1"));
  const int reserved = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit low{.rlim_cur = static_cast<rlim_t>(reserved) + 20, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<int> filling;
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) filling.push_back(fd);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server.server().address().port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(reserved, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  RawConnection waiting{reserved};
  ASSERT_TRUE(waiting.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(before.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_THAT(before.read_message(), HasSubstr("GET /3")) << "an open connection is served meanwhile";
  for (const int fd : filling) ::close(fd);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_THAT(waiting.read_message(), HasSubstr("GET /2"));
}

}  // namespace
}  // namespace llmd::net
