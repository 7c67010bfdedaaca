#include "kube/reflector.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "net/server.h"
#include "runtime/testing/run.h"

namespace llmd::kube {
namespace {

using testing::ElementsAre;

std::string object(std::string_view name, int version) {
  return fmt::format(R"({{"metadata":{{"name":"{}","namespace":"ns","resourceVersion":"{}"}}}})", name, version);
}

std::string list(int version, std::string_view objects, std::string_view more = "") {
  return fmt::format(R"({{"metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})", version, more,
                     objects);
}

std::string event(std::string_view type, std::string_view of) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, of);
}

/// Notes what it hears.
struct Notes final : ObjectSink {
  void replaced(std::vector<Object> objects) override {
    std::string names;
    for (const Object& each : objects) names += " " + each.name;
    heard.push_back("replaced" + names);
  }
  void upserted(Object object) override { heard.push_back("upserted " + object.name); }
  void deleted(Object object) override { heard.push_back("deleted " + object.name); }
  void absent() override { heard.emplace_back("absent"); }
  std::vector<std::string> heard;
};

/// A server whose answers come in turn; behind the last it says nothing. Each question is noted.
struct Bench {
  explicit Bench(ReflectorOptions options = {}) {
    auto handler = [this](net::Request request, net::Exchange& exchange) -> Task<void> {
      asked.push_back(request.target);
      if (answers.empty()) co_return co_await sleep_for(seconds{60});
      net::Response response;
      std::tie(response.status, response.body) = std::move(answers.front());
      answers.pop_front();
      (void)co_await exchange.respond(std::move(response));
    };
    server = *net::Server::listen({&loop}, {.listen = *net::Address::parse("127.0.0.1:0"), .limits = {}}, handler);
    client = *Client::make(loop, {.server = server->address()});
    options.backoff_min = milliseconds{1};
    options.backoff_max = options.absent_retry = milliseconds{4};
    reflector = std::make_unique<Reflector>(
        *client, Resource{.version = "v1", .plural = "pods", .ns = "ns", .label_selector = "a in (b,c)"}, notes,
        options, 1);
  }
  ~Bench() {
    reflector->stop();
    loop.discard();
  }
  /// Until the server has nothing more to say and is asked again.
  void run() {
    loop.spawn(reflector->run());
    const std::size_t questions = answers.size() + 1;
    testkit::run_until(loop, [&] { return asked.size() >= questions; });
  }

  Loop loop{"test"};
  std::deque<std::pair<int, std::string>> answers;
  std::vector<std::string> asked;
  Notes notes;
  std::unique_ptr<net::Server> server;
  std::unique_ptr<Client> client;
  std::unique_ptr<Reflector> reflector;
};

TEST(Reflector, ListsInPagesAndWatchesFromThere) {
  Bench bench;
  bench.answers = {
      {200, list(5, object("a", 1), "next+page")},
      {200, list(6, object("b", 2))},
      {200, event("MODIFIED", object("a", 7)) + event("BOOKMARK", object("", 8)) + event("DELETED", object("b", 9))}};
  bench.run();
  EXPECT_THAT(bench.notes.heard, ElementsAre("replaced a b", "upserted a", "deleted b"));
  EXPECT_EQ(bench.asked[0], "/api/v1/namespaces/ns/pods?limit=500&labelSelector=a%20in%20%28b%2Cc%29");
  EXPECT_NE(bench.asked[1].find("continue=next%2Bpage"), std::string::npos);
  EXPECT_NE(bench.asked[2].find("resourceVersion=6&"), std::string::npos);
  EXPECT_NE(bench.asked[3].find("resourceVersion=9&"), std::string::npos) << "it goes on where it was";
  EXPECT_TRUE(bench.reflector->synced());
}

TEST(Reflector, ListsAgainWhereTheVersionIsForgotten) {
  for (const auto& [status, body] :
       {std::pair{410, std::string{}}, std::pair{200, event("ERROR", R"({"code":410,"message":"too old"})")}}) {
    Bench bench;
    bench.answers = {{200, list(5, object("a", 1))}, {status, body}, {200, list(8, object("b", 2))}};
    bench.run();
    EXPECT_THAT(bench.notes.heard, ElementsAre("replaced a", "replaced b"));
  }
}

TEST(Reflector, WhatIsKnownStaysWhileAServerStarts) {
  Bench bench;
  bench.answers = {{200, list(5, object("a", 1))}, {403, "{}"}, {429, "{}"}, {404, "{}"}, {500, "{}"}, {200, "{"},
                   {200, list(9, object("a", 1))}};
  bench.run();
  EXPECT_THAT(bench.notes.heard, ElementsAre("replaced a", "replaced a"));
}

TEST(Reflector, AResourceThatIsNotThereIsAbsentUntilItComes) {
  for (const int status : {403, 404}) {
    Bench bench;
    bench.answers = {{status, "{}"}, {status, "{}"}, {200, list(5, object("a", 1))}};
    bench.run();
    EXPECT_THAT(bench.notes.heard, ElementsAre("absent", "replaced a"));
  }
}

TEST(Reflector, AResourceThatIsGoneForLongIsAbsent) {
  Bench bench{{.gone_after = milliseconds{0}}};
  bench.answers = {{200, list(5, object("a", 1))}, {404, "{}"}, {404, "{}"}, {200, list(7, "")}};
  bench.run();
  EXPECT_THAT(bench.notes.heard, ElementsAre("replaced a", "absent", "replaced"));
}

}  // namespace
}  // namespace llmd::kube
