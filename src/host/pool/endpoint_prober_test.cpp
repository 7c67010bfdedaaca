#include "pool/endpoint_prober.h"

#include <gtest/gtest.h>

#include "net/server.h"
#include "runtime/testing/run.h"

namespace llmd::pool {
namespace {

/// An engine whose pages the test changes.
struct Engine {
  explicit Engine(Loop& loop, net::ServerLimits limits = {}) {
    auto handler = [this](net::Request request, net::Exchange& exchange) -> Task<void> {
      if (request.path() == "/metrics" && ends_at_metrics) server->close();
      if (request.path() == "/metrics" && cuts_metrics) {
        (void)co_await exchange.start(200, {});
        (void)co_await exchange.write("vllm:num_requests_waiting 7\n");
        co_return;
      }
      net::Response response;
      const auto page = pages.find(std::string{request.path()});
      response.status = page == pages.end() ? 404 : page->second.first;
      if (page != pages.end()) response.body = page->second.second;
      ++requests[std::string{request.path()}];
      (void)co_await exchange.respond(std::move(response));
    };
    server = *net::Server::listen({&loop}, {.listen = *net::Address::parse("127.0.0.1:0"), .limits = limits}, handler);
  }
  std::map<std::string, std::pair<int, std::string>> pages{
      {"/ready", {200, ""}},
      {"/metrics", {200, "vllm:num_requests_waiting 7\n"}},
      {"/v1/models", {200, R"({"data":[{"id":"m","max_model_len":512}]})"}}};
  std::map<std::string, int> requests;
  bool ends_at_metrics = false;
  bool cuts_metrics = false;  // in the middle of the page
  std::unique_ptr<net::Server> server;
};

struct Bench {
  Loop loop{"test"};
  MetricsRegistry metrics;
  Pool pool{{.publish_interval = milliseconds{0}}};
  Engine engine;
  EndpointProber prober;

  explicit Bench(milliseconds interval = milliseconds{10}, net::ServerLimits limits = {})
      : engine{loop, limits},
        prober{loop,
               pool,
               metrics,
               {.interval = interval, .timeout = milliseconds{200}, .backoff_max = milliseconds{20}}} {
    Endpoint endpoint;
    endpoint.name = "e";
    endpoint.url = "http://" + engine.server->address().to_string();
    pool.set_endpoints({endpoint}, SteadyClock::now());
    prober.start();
  }
  ~Bench() {
    prober.stop();
    testkit::run_task(loop, sleep_for(milliseconds{5}));
  }
  EndpointReport report() { return pool.report(SteadyClock::now()).at(0); }
  void until(const std::function<bool(const EndpointReport&)>& holds) {
    testkit::run_until(loop, [&] { return holds(report()); });
  }
};

TEST(EndpointProber, FindsReadinessMetricsAndModels) {
  Bench bench;
  bench.until([](const EndpointReport& report) { return !report.state.endpoint->models.empty(); });
  const EndpointReport report = bench.report();
  EXPECT_EQ(report.state.health, EndpointHealth::kReady);
  EXPECT_EQ(report.state.waiting_requests.value, 7U);
  EXPECT_EQ(report.state.endpoint->models[0].id, "m");
  EXPECT_EQ(report.state.endpoint->models[0].context_tokens, 512U);
  EXPECT_EQ(report.error, "");
}

TEST(EndpointProber, AsksForHealthWhereThereIsNoReadyPath) {
  Bench bench;
  bench.engine.pages.erase("/ready");
  bench.engine.pages["/health"] = {200, ""};
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kReady; });
  EXPECT_GT(bench.engine.requests["/health"], 0);
}

TEST(EndpointProber, ANotReadyEndpointIsNotAskedForMoreAndComesBack) {
  Bench bench;
  bench.engine.pages["/ready"].first = 503;
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kDraining; });
  EXPECT_NE(bench.report().error.find("503"), std::string::npos);
  EXPECT_EQ(bench.engine.requests["/metrics"], 0);
  bench.engine.pages["/ready"].first = 200;
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kReady; });
}

TEST(EndpointProber, AnEndpointThatStoppedListeningIsDown) {
  Bench bench;
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kReady; });
  bench.engine.server->close();
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kDown; });
}

TEST(EndpointProber, AnEndpointWhoseProcessEndsIsDownLongBeforeTheNextProbeIsDue) {
  Bench bench{std::chrono::minutes{1}};
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kReady; });
  EXPECT_EQ(bench.report().probes, 1U);
  bench.engine.server.reset();
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kDown; });
  EXPECT_EQ(bench.report().probes, 3U) << "one at once, one to make sure";
}

TEST(EndpointProber, AnEndpointThatEndsWithinAProbeIsDownSoonToo) {
  Bench bench{std::chrono::minutes{1}};
  bench.engine.ends_at_metrics = true;
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kDown; });
  EXPECT_EQ(bench.report().probes, 2U);
}

TEST(EndpointProber, AServerThatClosesEachConnectionIsAskedTwiceAsOftenAtMost) {
  Bench bench{milliseconds{20}, {.idle_timeout = milliseconds{1}}};
  testkit::run_task(bench.loop, sleep_for(milliseconds{400}));
  EXPECT_LE(bench.report().probes, 45U);
  EXPECT_EQ(bench.report().state.health, EndpointHealth::kReady);
}

TEST(EndpointProber, AMetricsPageThatIsAlwaysCutLeavesTheEndpointReady) {
  Bench bench;
  bench.engine.cuts_metrics = true;
  bench.until([](const EndpointReport& report) { return report.probes > 10; });
  EXPECT_EQ(bench.report().state.health, EndpointHealth::kReady);
  EXPECT_FALSE(bench.report().error.empty());
}

TEST(EndpointProber, ABrokenModelListIsAnErrorThatLeavesTheEndpointReady) {
  Bench bench;
  bench.engine.pages["/v1/models"].second = "<html>";
  bench.until([](const EndpointReport& report) { return !report.error.empty(); });
  EXPECT_EQ(bench.report().state.health, EndpointHealth::kReady);
}

TEST(EndpointProber, FollowsTheSetOfEndpoints) {
  Bench bench;
  bench.until([](const EndpointReport& report) { return report.probes > 0; });
  bench.pool.remove("e");
  testkit::run_task(bench.loop, sleep_for(milliseconds{50}));
  const int asked = bench.engine.requests["/ready"];
  testkit::run_task(bench.loop, sleep_for(milliseconds{50}));
  EXPECT_EQ(bench.engine.requests["/ready"], asked) << "one that left is not asked any more";
}

}  // namespace
}  // namespace llmd::pool
