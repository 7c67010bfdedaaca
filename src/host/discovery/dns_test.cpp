// DNS against a server of the test's own, over UDP, and against hostile answers.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "base/rng.h"
#include "discovery/dns_endpoints.h"
#include "discovery/dns_source.h"
#include "runtime/testing/run.h"

namespace llmd::discovery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Bytes = std::string;

Bytes u16(unsigned value) { return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)}; }

Bytes wire_name(std::string_view name) {
  Bytes bytes;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    name.remove_prefix(std::min(name.size(), label.size() + 1));
    bytes += static_cast<char>(label.size());
    bytes += label;
  }
  return bytes + '\0';
}

Bytes record(std::string_view name, unsigned type, unsigned ttl, const Bytes& data) {
  return wire_name(name) + u16(type) + u16(1) + u16(0) + u16(ttl) + u16(static_cast<unsigned>(data.size())) + data;
}

Bytes a(std::string_view name, const char* ip, unsigned ttl = 60) {
  Bytes data(4, '\0');
  inet_pton(AF_INET, ip, data.data());
  return record(name, 1, ttl, data);
}

Bytes aaaa(std::string_view name, const char* ip, unsigned ttl = 60) {
  Bytes data(16, '\0');
  inet_pton(AF_INET6, ip, data.data());
  return record(name, 28, ttl, data);
}

Bytes srv(std::string_view name, unsigned priority, unsigned port, std::string_view host, unsigned ttl = 60) {
  return record(name, 33, ttl, u16(priority) + u16(1) + u16(port) + wire_name(host));
}

/// What it answers to a question, by "name type".
class DnsServer {
 public:
  struct Answer {
    std::vector<Bytes> records;
    std::vector<Bytes> additional{};
    unsigned code = 0;
  };

  DnsServer() : socket_{::socket(AF_INET, SOCK_DGRAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread{[this](const std::stop_token& stop) { serve(stop); }};
  }
  ~DnsServer() {
    thread_ = {};
    ::close(socket_);
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  void set(const std::string& name, unsigned type, Answer answer) {
    const std::scoped_lock lock{mutex_};
    answers_[fmt::format("{} {}", name, type)] = std::move(answer);
  }
  [[nodiscard]] DnsOptions options() const { return {.server_ip = "127.0.0.1", .server_port = port_}; }

 private:
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waits{.fd = socket_, .events = POLLIN, .revents = 0};
      if (::poll(&waits, 1, 20) != 1) continue;
      Bytes question(1'500, '\0');
      sockaddr_in from{};
      socklen_t size = sizeof(from);
      const ssize_t bytes =
          ::recvfrom(socket_, question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (bytes < 17) continue;
      question.resize(static_cast<std::size_t>(bytes));
      const Bytes reply = answer_to(question);
      (void)::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  Bytes answer_to(const Bytes& question) {
    std::string name;
    std::size_t at = 12;
    while (at < question.size() && question[at] != 0) {
      const auto length = static_cast<std::size_t>(question[at]);
      if (!name.empty()) name += '.';
      name.append(question, at + 1, length);
      at += length + 1;
    }
    const unsigned type = static_cast<unsigned char>(question[at + 2]);
    const std::scoped_lock lock{mutex_};
    const auto found = answers_.find(fmt::format("{} {}", name, type));
    const Answer answer = found == answers_.end() ? Answer{} : found->second;
    Bytes reply = question.substr(0, 2) + u16(0x8580U | answer.code) + u16(1) +
                  u16(static_cast<unsigned>(answer.records.size())) + u16(0) +
                  u16(static_cast<unsigned>(answer.additional.size())) + question.substr(12, at + 5 - 12);
    for (const Bytes& each : answer.records) reply += each;
    for (const Bytes& each : answer.additional) reply += each;
    return reply;
  }

  int socket_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::map<std::string, Answer> answers_;  // under mutex_
  std::jthread thread_;
};

std::vector<std::string> names(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> list;
  for (const Endpoint& endpoint : endpoints) list.push_back(endpoint.name + " " + endpoint.url);
  return list;
}

Result<DnsEndpoints> find(const DnsServer& server, std::string_view name, AddressPolicy policy = {}) {
  const DnsOptions options = server.options();
  return find_endpoints(*DnsName::parse(name), policy,
                        [options](const std::string& host, DnsType type) { return look_up(host, type, options); });
}

TEST(DnsName, ReadsBothForms) {
  EXPECT_EQ(DnsName::parse("pods.ns.svc:8000")->port, 8000);
  EXPECT_EQ(DnsName::parse("_http._tcp.pods.ns.svc")->port, 0);
  for (const char* text : {"", "pods", "pods:", "pods:0", "pods:65536", "pods:80x", "_http._tcp.pods:80", "a b:80",
                           ":80", "a/b:80", "[::1]:80"})
    EXPECT_FALSE(DnsName::parse(text)) << text;
}

TEST(DnsEndpoints, AddressesOfBothFamiliesAreEndpoints) {
  DnsServer server;
  server.set("pods.test", 1, {.records = {a("pods.test", "10.0.0.2", 7), a("pods.test", "10.0.0.1")}});
  server.set("pods.test", 28, {.records = {aaaa("pods.test", "fd00::1")}});
  const auto found = find(server, "pods.test.:8000");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_THAT(names(found->endpoints), ElementsAre("pods.test./10.0.0.1:8000 http://10.0.0.1:8000",
                                                   "pods.test./10.0.0.2:8000 http://10.0.0.2:8000",
                                                   "pods.test./[fd00::1]:8000 http://[fd00::1]:8000"));
  EXPECT_EQ(found->ttl.count(), 7);
}

TEST(DnsEndpoints, ServicesTellPortsAndOnlyTheLowestPriorityCounts) {
  DnsServer server;
  server.set("_http._tcp.pods.test", 33,
             {.records = {srv("_http._tcp.pods.test", 1, 8000, "a.pods.test"),
                          srv("_http._tcp.pods.test", 1, 8001, "b.pods.test"),
                          srv("_http._tcp.pods.test", 2, 9000, "a.pods.test"), srv("_http._tcp.pods.test", 0, 0, "")},
              .additional = {a("A.pods.test", "10.0.0.1")}});
  server.set("b.pods.test", 1, {.records = {a("b.pods.test", "10.0.0.2", 5)}});
  const auto found = find(server, "_http._tcp.pods.test.");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_THAT(names(found->endpoints), ElementsAre("_http._tcp.pods.test./10.0.0.1:8000 http://10.0.0.1:8000",
                                                   "_http._tcp.pods.test./10.0.0.2:8001 http://10.0.0.2:8001"));
  EXPECT_EQ(found->ttl.count(), 5);
}

TEST(DnsEndpoints, LocalAddressesAreRefusedUnlessAllowed) {
  DnsServer server;
  server.set("pods.test", 1,
             {.records = {a("pods.test", "127.0.0.1"), a("pods.test", "169.254.169.254"), a("pods.test", "10.0.0.1")}});
  auto found = find(server, "pods.test.:80");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->endpoints.size(), 1U);
  EXPECT_EQ(found->refused.size(), 2U);
  found = find(server, "pods.test.:80", {.allows_local = true});
  EXPECT_EQ(found->endpoints.size(), 3U);
}

TEST(DnsEndpoints, TellsAnEmptyAnswerFromNoAnswer) {
  DnsServer server;
  EXPECT_THAT(find(server, "empty.test.:80")->endpoints, IsEmpty());
  for (const unsigned type : {1U, 28U}) server.set("gone.test", type, {.records = {}, .code = 3});
  EXPECT_EQ(find(server, "gone.test.:80").error().code, ErrorCode::kNotFound);
}

TEST(DnsAnswer, AnyBytesAreAnAnswerOrAnError) {
  Rng rng{1};
  const Bytes good = Bytes("\x12\x34", 2) + u16(0x8580) + u16(1) + u16(2) + u16(0) + u16(0) + wire_name("pods.test") +
                     u16(1) + u16(1) + a("pods.test", "10.0.0.1") + srv("pods.test", 1, 80, "b.test");
  const auto read = [](const Bytes& bytes) {
    return read_dns_answer({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  };
  ASSERT_TRUE(read(good));
  EXPECT_EQ(read(good)->addresses.size(), 1U);
  EXPECT_EQ(read(good)->services.size(), 1U);
  for (std::size_t end = 0; end < good.size(); ++end) EXPECT_FALSE(read(good.substr(0, end))) << end;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bad = good;
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) bad[rng.below(bad.size())] = static_cast<char>(rng.next());
    const auto answer = read(bad);
    EXPECT_TRUE(answer || !answer.error().what.empty());
  }
}

TEST(DnsSource, KeepsTheLastGoodAnswerAndFollowsChanges) {
  DnsServer server;
  server.set("pods.test", 1, {.records = {a("pods.test", "10.0.0.1", 0)}});
  Loop loop{"test"};
  MetricsRegistry metrics;
  std::vector<std::vector<std::string>> seen;
  DnsSource source{loop,
                   {.name = *DnsName::parse("pods.test.:80"),
                    .dns = server.options(),
                    .interval_min = milliseconds{10},
                    .retry = milliseconds{10}},
                   [&](std::vector<Endpoint> endpoints) { seen.push_back(names(endpoints)); },
                   metrics};
  source.start();
  testkit::run_until(loop, [&] { return seen.size() == 1; });
  for (const unsigned type : {1U, 28U}) server.set("pods.test", type, {.records = {}, .code = 2});  // it fails
  Counter& failures = metrics.counter("llmd_dns_failures_total", "");
  testkit::run_until(loop, [&] { return failures.value() > 0; });
  EXPECT_EQ(seen.size(), 1U);
  server.set("pods.test", 1, {.records = {a("pods.test", "10.0.0.2", 0)}});
  server.set("pods.test", 28, {.records = {}});
  testkit::run_until(loop, [&] { return seen.size() == 2; });
  EXPECT_THAT(seen[1], ElementsAre("pods.test./10.0.0.2:80 http://10.0.0.2:80"));
  source.stop();
  testkit::run_task(loop, sleep_for(milliseconds{1}));
  loop.discard();
}

}  // namespace
}  // namespace llmd::discovery
