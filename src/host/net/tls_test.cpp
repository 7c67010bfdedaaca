#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "net/certificate.h"
#include "net/client.h"
#include "net/h2_server.h"
#include "net/server.h"
#include "net/testing/h2_peer.h"
#include "net/testing/raw_peer.h"
#include "net/testing/tls_peer.h"
#include "net/tls_client.h"
#include "net/tls_server.h"
#include "runtime/testing/loop_thread.h"

namespace llmd::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testkit::LoopThread;
using testkit::RawConnection;
using testkit::RawPeer;
using testkit::TlsPeer;

constexpr std::size_t kLarge = 10'000'000;

/// An authority of the tests and what it issues; made once, since keys take their time.
struct Authority {
  Certificate root = issue_certificate({.organization = "Root", .is_authority = true}).value();
  Certificate server = issue({"127.0.0.1", "localhost"});
  Certificate other_name = issue({"elsewhere.example"});
  Certificate expired = issue({"127.0.0.1"}, seconds{-10});
  Certificate client = issue({});

  [[nodiscard]] Certificate issue(std::vector<std::string> names, std::chrono::seconds valid = seconds{3'600}) const {
    return issue_certificate({.organization = "Test",
                              .names = std::move(names),
                              .valid_since = seconds{-7'200},
                              .valid_for = valid,
                              .issuer = &root})
        .value();
  }
};
const Authority& authority() {
  static const Authority made;
  return made;
}
const Certificate& stranger() {
  static const Certificate made = issue_certificate({.organization = "Stranger", .names = {"127.0.0.1"}}).value();
  return made;
}

/// A folder with tls.crt and tls.key.
class CertificateFolder {
 public:
  explicit CertificateFolder(const Certificate& certificate) { put(certificate); }
  ~CertificateFolder() { std::filesystem::remove_all(path_); }
  void put(const Certificate& certificate) const {
    write("tls.crt", certificate.certificate);
    write("tls.key", certificate.key);
  }
  /// As a whole, so that no reader sees half of it.
  void write(const std::string& name, std::string_view text) const {
    std::ofstream{path_ + "/new"} << text;
    std::filesystem::rename(path_ + "/new", path_ + "/" + name);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_ = [] {
    std::string path = testing::TempDir() + "llmd_tls_XXXXXX";
    return std::string{::mkdtemp(path.data())};
  }();
};

std::shared_ptr<TlsServer> server_with(TlsServerOptions options) {
  auto made = TlsServer::make(std::move(options));
  EXPECT_TRUE(made) << made.error().to_string();
  return *made;
}
std::shared_ptr<TlsServer> server_of(const Certificate& certificate) {
  const CertificateFolder folder{certificate};
  return server_with({.directory = folder.path()});
}
std::shared_ptr<const TlsClient> client_with(TlsClientOptions options) {
  auto made = TlsClient::make(std::move(options));
  EXPECT_TRUE(made) << made.error().to_string();
  return *made;
}
std::shared_ptr<const TlsClient> trusting() { return client_with({.ca = authority().root.certificate}); }

/// Answers with the body that it got; to all but "/", with half of an answer.
Task<void> mirror(Request request, Exchange& exchange) {
  Response response;
  response.body = std::move(request.body);
  if (request.target == "/") {
    [[maybe_unused]] const auto sent = co_await exchange.respond(std::move(response));
    co_return;
  }
  Headers headers;
  headers.add("Content-Length", "100");
  [[maybe_unused]] const auto started = co_await exchange.start(200, headers);
  [[maybe_unused]] const auto sent = co_await exchange.write("half");
}

class TestServer {
 public:
  explicit TestServer(std::shared_ptr<const TlsServer> tls, ServerOptions options = {}) {
    options.listen = Address{.host = "127.0.0.1"};
    options.tls = std::move(tls);
    server_ = Server::listen({&thread_.loop()}, std::move(options), mirror).value();
  }
  [[nodiscard]] Address address() const {
    Address address = server_->address();
    address.tls = true;
    return address;
  }
  [[nodiscard]] RawConnection connect() const { return RawConnection::connect(server_->address()); }
  [[nodiscard]] LoopThread& thread() noexcept { return thread_; }
  [[nodiscard]] Server& server() noexcept { return *server_; }

 private:
  LoopThread thread_;
  std::unique_ptr<Server> server_;
};

/// "200 body" or the error.
Task<std::string> call(Client* client, Address address, std::string target, std::string body) {
  const ClientRequest request{.method = "POST", .target = target, .body = body};
  auto response = co_await client->send(address, request, nullptr);
  if (!response) co_return response.error().to_string();
  auto rest = co_await (*response)->read_all(2 * kLarge);
  if (!rest) co_return rest.error().to_string();
  co_return std::to_string((*response)->status()) + " " + *rest;
}
Task<void> store(Task<std::string> call, std::shared_ptr<std::promise<std::string>> result) {
  result->set_value(co_await std::move(call));
}

class TestClient {
 public:
  explicit TestClient(std::shared_ptr<const TlsClient> tls, milliseconds connect_timeout = seconds{10}) {
    thread_.call([&] {
      client_ = std::make_unique<Client>(thread_.loop(),
                                         ClientOptions{.connect_timeout = connect_timeout, .tls = std::move(tls)});
    });
  }
  ~TestClient() {
    thread_.call([&] { client_.reset(); });
  }
  std::string post(const Address& address, std::string body, std::string target = "/") {
    auto result = std::make_shared<std::promise<std::string>>();
    auto text = result->get_future();
    thread_.loop().spawn(store(call(client_.get(), address, std::move(target), std::move(body)), std::move(result)));
    return text.wait_for(std::chrono::seconds{20}) == std::future_status::ready ? text.get() : "hangs";
  }
  std::size_t connections() {
    return thread_.call([&] { return client_->connections(); });
  }

 private:
  LoopThread thread_;
  std::unique_ptr<Client> client_;
};

std::string text_of(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i);
  return text;
}

TEST(Tls, CarriesLargeBodiesBothWaysOnOneConnection) {
  TestServer server{server_of(authority().server)};
  TestClient client{trusting()};
  const std::string body = text_of(kLarge);
  EXPECT_EQ(client.post(server.address(), "small"), "200 small");
  EXPECT_EQ(client.post(server.address(), body), "200 " + body);
  EXPECT_EQ(client.post(server.address(), "small"), "200 small");
  EXPECT_EQ(client.connections(), 1U);
  EXPECT_EQ(server.server().connections(), 1U);
}

TEST(Tls, ChecksWhoTheServerIs) {
  struct Case {
    std::string name;
    Certificate shown;
    TlsClientOptions client;
    std::string outcome;
  };
  const std::string root = authority().root.certificate;
  const std::vector<Case> cases{
      {"trusted", authority().server, {.ca = root}, "200 x"},
      {"other name", authority().other_name, {.ca = root}, "mismatch"},
      {"other name that is expected",
       authority().other_name,
       {.ca = root, .server_name = "elsewhere.example"},
       "200 x"},
      {"expired", authority().expired, {.ca = root}, "certificate has expired"},
      {"self-signed", stranger(), {.ca = root}, "self-signed certificate"},
      {"self-signed and trusted", stranger(), {.ca = stranger().certificate}, "200 x"},
      {"not of the system's roots", authority().server, {}, "unable to get local issuer certificate"},
      {"anyone", authority().expired, {.insecure = true}, "200 x"},
  };
  for (const Case& c : cases) {
    TestServer server{server_of(c.shown)};
    TestClient client{client_with(c.client)};
    const std::string outcome = client.post(server.address(), "x");
    EXPECT_THAT(outcome, HasSubstr(c.outcome)) << c.name;
    if (c.outcome != "200 x") {
      EXPECT_THAT(outcome, StartsWith("protocol: ")) << c.name;
    }
  }
}

TEST(Tls, AsksClientsForACertificate) {
  const CertificateFolder folder{authority().server};
  folder.write("ca.crt", authority().root.certificate);
  TestServer server{server_with({.directory = folder.path(), .client_ca_file = folder.path() + "/ca.crt"})};
  const TlsClientOptions known{
      .ca = authority().root.certificate, .certificate = authority().client.certificate, .key = authority().client.key};
  EXPECT_EQ(TestClient{client_with(known)}.post(server.address(), "x"), "200 x");
  EXPECT_THAT(TestClient{trusting()}.post(server.address(), "x"), testing::Not(StartsWith("200")));
  const TlsClientOptions unknown{
      .ca = authority().root.certificate, .certificate = stranger().certificate, .key = stranger().key};
  EXPECT_THAT(TestClient{client_with(unknown)}.post(server.address(), "x"), testing::Not(StartsWith("200")));
}

TEST(Tls, MakesACertificateIfNoneIsGiven) {
  TestServer server{server_with({})};
  EXPECT_EQ(TestClient{client_with({.insecure = true})}.post(server.address(), "x"), "200 x");
  EXPECT_THAT(TestClient{trusting()}.post(server.address(), "x"), HasSubstr("self-signed certificate"));
}

TEST(Tls, ShowsTheNewCertificateOnceItsFilesHaveChanged) {
  const CertificateFolder folder{authority().server};
  const auto tls = server_with({.directory = folder.path()});
  TestServer server{tls};
  TlsPeer before{server.connect(), *trusting(), TlsProtocol::kHttp1};
  ASSERT_TRUE(before.handshake());
  EXPECT_FALSE(tls->reload_if_changed().value());

  folder.write("tls.crt", "-----BEGIN CERTIFICATE-----\nbad\n");
  EXPECT_EQ(tls->reload_if_changed().error().code, ErrorCode::kFileInvalid);
  EXPECT_FALSE(tls->reload_if_changed().value()) << "the same bad file is not read again";
  folder.write("tls.crt", stranger().certificate);
  EXPECT_EQ(tls->reload_if_changed().error().code, ErrorCode::kFileInvalid) << "the key is still that of the old one";
  EXPECT_EQ(TestClient{trusting()}.post(server.address(), "x"), "200 x") << "the old one stays";

  TlsServer::watch(tls, server.thread().loop(), milliseconds{5});
  folder.write("tls.key", stranger().key);
  const auto now = client_with({.ca = stranger().certificate});
  std::string answer;
  const TimePoint deadline = SteadyClock::now() + seconds{10};
  while (answer != "200 x" && SteadyClock::now() < deadline) answer = TestClient{now}.post(server.address(), "x");
  EXPECT_EQ(answer, "200 x");
  ASSERT_TRUE(before.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\ny"));
  EXPECT_THAT(before.receive(), HasSubstr("\r\n\r\ny")) << "connections that are open go on";
}

TEST(Tls, FollowsTheLinksOfAMountedSecret) {
  const CertificateFolder first{authority().server};
  const CertificateFolder second{stranger()};
  const CertificateFolder mounted{authority().server};
  const std::string data = mounted.path() + "/..data";
  std::filesystem::create_directory_symlink(first.path(), data);
  for (const std::string name : {"tls.crt", "tls.key"}) {
    std::filesystem::remove(mounted.path() + "/" + name);
    std::filesystem::create_symlink("..data/" + name, mounted.path() + "/" + name);
  }
  const auto tls = server_with({.directory = mounted.path()});
  std::filesystem::create_directory_symlink(second.path(), data + "_new");
  std::filesystem::rename(data + "_new", data);
  EXPECT_TRUE(tls->reload_if_changed().value());
  TestServer server{tls};
  EXPECT_EQ(TestClient{client_with({.ca = stranger().certificate})}.post(server.address(), "x"), "200 x");
}

TEST(Tls, RefusesFilesAndOptionsThatAreWrong) {
  const CertificateFolder good{authority().server};
  const CertificateFolder mixed{{.certificate = authority().server.certificate, .key = stranger().key}};
  const CertificateFolder swapped{{.certificate = stranger().key, .key = stranger().certificate}};
  struct Case {
    TlsServerOptions options;
    ErrorCode code;
    std::string words;
  };
  const std::vector<Case> cases{
      {{.directory = "/nonexistent"}, ErrorCode::kFileNotFound, "/nonexistent/tls.crt"},
      {{.directory = mixed.path()}, ErrorCode::kFileInvalid, "key values mismatch"},
      {{.directory = swapped.path()}, ErrorCode::kFileInvalid, "there is no certificate"},
      {{.directory = good.path(), .min_version = "1.2"}, ErrorCode::kConfigInvalid, "VersionTLS12"},
      {{.directory = good.path(), .cipher_suites = {"AES"}}, ErrorCode::kConfigInvalid, "\"AES\""},
      {{.directory = good.path(), .client_ca_file = "/nonexistent"}, ErrorCode::kFileNotFound, "/nonexistent"},
      {{.directory = good.path(), .client_ca_file = good.path() + "/tls.key"}, ErrorCode::kFileInvalid, "certificate"},
  };
  for (const Case& c : cases) {
    const auto made = TlsServer::make(c.options);
    ASSERT_FALSE(made) << c.words;
    EXPECT_EQ(made.error().code, c.code) << c.words;
    EXPECT_THAT(made.error().to_string(), HasSubstr(c.words));
  }
  EXPECT_EQ(TlsClient::make({.ca = "none"}).error().code, ErrorCode::kFileInvalid);
  EXPECT_EQ(TlsClient::make({.certificate = stranger().certificate}).error().code, ErrorCode::kFileInvalid);
}

TEST(Tls, TakesVersionsAndSuitesByTheNamesOfGo) {
  const CertificateFolder folder{authority().server};
  for (const std::string version : {"VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"}) {
    TestServer server{
        server_with({.directory = folder.path(),
                     .min_version = version,
                     .cipher_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                       "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"}})};
    EXPECT_EQ(TestClient{trusting()}.post(server.address(), "x"), "200 x") << version;
  }
}

/// Sends `bytes` to a TLS port; whether the server then closes.
bool closes_after(const TestServer& server, std::string_view bytes) {
  RawConnection connection = server.connect();
  EXPECT_TRUE(connection.send(bytes));
  return connection.closed_by_peer();
}

TEST(Tls, OutlivesWhatIsNoTls) {
  TestServer server{server_of(authority().server), {.limits = {.header_timeout = milliseconds{10'000}}}};
  EXPECT_TRUE(closes_after(server, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(closes_after(server, std::string(100'000, '\xff')));
  std::string bytes = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";  // a ClientHello's begin
  for (int i = 0; i < 600; ++i) bytes += static_cast<char>(i * 31);
  EXPECT_TRUE(closes_after(server, bytes));
  EXPECT_EQ(TestClient{trusting()}.post(server.address(), "x"), "200 x");
}

TEST(Tls, OutlivesRecordsThatAreDamaged) {
  TestServer server{server_of(authority().server)};
  TlsPeer peer{server.connect(), *trusting(), TlsProtocol::kHttp1};
  ASSERT_TRUE(peer.handshake());
  ASSERT_TRUE(peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"));
  ASSERT_TRUE(peer.connection().send(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x')));
  EXPECT_TRUE(peer.connection().closed_by_peer());
  EXPECT_EQ(TestClient{trusting()}.post(server.address(), "x"), "200 x");
}

TEST(Tls, ClosesHandshakesThatStall) {
  const CertificateFolder folder{authority().server};
  TestServer server{server_with({.directory = folder.path(), .handshake_timeout = milliseconds{50}})};
  EXPECT_TRUE(closes_after(server, ""));
  EXPECT_TRUE(closes_after(server, "\x16\x03\x01"));
  EXPECT_EQ(TestClient{trusting()}.post(server.address(), "x"), "200 x");
}

TEST(Tls, ClientsDoNotWaitForServersThatSayNothingOrNoTls) {
  TestClient client{trusting(), milliseconds{50}};
  const RawPeer silent;
  Address address = silent.address();
  address.tls = true;
  EXPECT_THAT(client.post(address, "x"), HasSubstr("deadline_exceeded"));
  TestServer plain{nullptr};
  EXPECT_THAT(client.post(plain.address(), "x"), HasSubstr("does not speak TLS"));
  EXPECT_THAT(TestClient{nullptr}.post(plain.address(), "x"), HasSubstr("TLS is not spoken here"));
  EXPECT_EQ(client.connections(), 0U);
}

TEST(Tls, AnAnswerThatIsCutIsNotTakenForWhole) {
  TestServer server{server_of(authority().server)};
  TestClient client{trusting()};
  EXPECT_THAT(client.post(server.address(), "x", "/cut"), HasSubstr("cut after 4 bytes"));
}

TEST(Tls, ASlowReaderGetsAll) {
  TestServer server{server_of(authority().server)};
  TlsPeer peer{server.connect(), *trusting(), TlsProtocol::kHttp1};
  ASSERT_TRUE(peer.handshake());
  const std::string body = text_of(kLarge);
  ASSERT_TRUE(peer.send(fmt::format("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.size())));
  ASSERT_TRUE(peer.send(body));
  ASSERT_FALSE(server.thread().call([] { return false; })) << "the loop is not held up by a full socket";
  std::string answer;
  while (answer.size() < body.size()) {
    const std::string piece = peer.receive();
    if (piece.empty()) break;
    answer += piece;
  }
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), body);
}

/// Sends back what it gets.
struct Mirror final : H2Stream {
  Mirror(std::shared_ptr<H2Connection> to, H2StreamId stream) : connection{std::move(to)}, id{stream} {
    connection->session().send_head(id, 200, {});
  }
  void on_data(std::string_view bytes) override {
    connection->session().send_data(id, own(std::string{bytes}));
    connection->session().consume(id, bytes.size());
    connection->flush();
  }
  void on_end() override {
    connection->session().send_end(id);
    connection->flush();
  }
  void on_close(H2Reset /*reason*/) override {}
  void on_sent() override {}
  std::shared_ptr<H2Connection> connection;
  H2StreamId id;
};

class H2TestServer {
 public:
  explicit H2TestServer(std::shared_ptr<const TlsServer> tls) {
    server_ = H2Server::listen({&thread_.loop()}, {.listen = Address{.host = "127.0.0.1"}, .tls = std::move(tls)},
                               [](const std::shared_ptr<H2Connection>& connection, H2StreamId id, Request /*head*/) {
                                 return std::make_shared<Mirror>(connection, id);
                               })
                  .value();
  }
  [[nodiscard]] RawConnection connect() const { return RawConnection::connect(server_->address()); }
  [[nodiscard]] H2Server& server() noexcept { return *server_; }

 private:
  LoopThread thread_;
  std::unique_ptr<H2Server> server_;
};

TEST(Tls, CarriesHttp2) {
  H2TestServer server{server_of(authority().server)};
  TlsPeer peer{server.connect(), *trusting(), TlsProtocol::kHttp2};
  ASSERT_TRUE(peer.handshake()) << peer.failure();
  testkit::H2Peer client;
  const auto id =
      client.request({{":method", "POST"}, {":scheme", "https"}, {":path", "/"}, {":authority", "h"}}, false);
  const std::string body = text_of(kLarge);
  client.send(id, body, /*ends=*/true);
  while (!client.answer(id).closed) {
    ASSERT_TRUE(peer.send(client.output()));
    const std::string bytes = peer.receive();
    ASSERT_FALSE(bytes.empty()) << client.answer(id).body.size();
    ASSERT_TRUE(client.receive(bytes));
  }
  EXPECT_EQ(client.answer(id).body, body);
}

TEST(Tls, RefusesClientsThatOfferOtherProtocolsOnly) {
  H2TestServer server{server_of(authority().server)};
  TlsPeer peer{server.connect(), *trusting(), TlsProtocol::kHttp1};
  EXPECT_FALSE(peer.handshake() && !peer.receive().empty());
  EXPECT_THAT(peer.failure(), HasSubstr("no application protocol"));
  TlsPeer other{server.connect(), *trusting(), TlsProtocol::kHttp2};
  EXPECT_TRUE(other.handshake());
}

TEST(Tls, DrainsHttp2WhileHandshakesStall) {
  H2TestServer server{server_of(authority().server)};
  RawConnection stalled = server.connect();
  ASSERT_TRUE(stalled.send("\x16\x03\x01"));
  const TimePoint deadline = SteadyClock::now() + seconds{10};
  while (server.server().connections() == 0 && SteadyClock::now() < deadline) std::this_thread::yield();
  server.server().drain();
  server.server().close();
  EXPECT_TRUE(stalled.closed_by_peer());
}

}  // namespace
}  // namespace llmd::net
