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
  Engine beside;  // at another port
  EndpointProber prober;

  /// Quick, and with the port of `beside` where one is to be another.
  static ProberOptions test_options(ProberOptions options, const Engine& beside) {
    options.timeout = milliseconds{200};
    options.backoff_max = milliseconds{20};
    if (options.interval == ProberOptions{}.interval) options.interval = milliseconds{10};
    const std::uint16_t port = beside.server->address().port;
    if (options.metrics && options.metrics->port != 0) options.metrics->port = port;
    for (config::ExporterSource& exporter : options.exporters) exporter.page.port = port;
    return options;
  }
  [[nodiscard]] double gauge(const char* name) { return metrics.gauge(name, "").value(); }

  explicit Bench(milliseconds interval = milliseconds{10}, net::ServerLimits limits = {})
      : Bench{ProberOptions{.interval = interval}, {}, limits} {}
  explicit Bench(ProberOptions options, std::map<std::string, std::string> labels = {}, net::ServerLimits limits = {})
      : engine{loop, limits}, beside{loop}, prober{loop, pool, metrics, test_options(std::move(options), beside)} {
    Endpoint endpoint;
    endpoint.name = "e";
    endpoint.url = "http://" + engine.server->address().to_string();
    endpoint.labels = std::move(labels);
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

TEST(EndpointProber, AsksForMetricsMoreOftenThanForReadiness) {
  Bench bench{ProberOptions{.interval = milliseconds{500},
                            .metrics = config::PageSource{.path = "/metrics", .interval = milliseconds{5}}}};
  bench.until([&](const EndpointReport&) { return bench.engine.requests["/metrics"] > 20; });
  EXPECT_LE(bench.engine.requests["/ready"], 3);
  EXPECT_EQ(bench.report().state.health, EndpointHealth::kReady);
  bench.engine.server->close();
  bench.until([](const EndpointReport& report) { return report.state.health == EndpointHealth::kDown; });
}

TEST(EndpointProber, FindsMetricsAtAnotherPathAndPort) {
  Bench bench{ProberOptions{.metrics = config::PageSource{.path = "/stats", .port = 1}}};
  bench.beside.pages["/stats"] = {200, "sglang:num_queue_reqs 3\n"};
  bench.until([](const EndpointReport& report) { return report.state.waiting_requests.value == 3U; });
  EXPECT_EQ(bench.report().engine, "sglang");
  EXPECT_EQ(bench.engine.requests["/metrics"], 0);
}

TEST(EndpointProber, AsksForNoMetricsIfThereIsNoSourceOfThem) {
  Bench bench{ProberOptions{.metrics = std::nullopt}};
  bench.until([](const EndpointReport& report) { return report.probes > 3; });
  EXPECT_EQ(bench.engine.requests["/metrics"], 0);
  EXPECT_EQ(bench.report().state.health, EndpointHealth::kReady);
}

TEST(EndpointProber, TheLabelSaysWhoseSeriesCount) {
  Bench bench{ProberOptions{}, {{"llm-d.ai/engine-type", "lmdeploy"}}};
  bench.engine.pages["/metrics"].second += "lmdeploy:num_requests_waiting 2\nvllm:num_requests_running 1\n";
  bench.until([](const EndpointReport& report) { return report.state.waiting_requests.value == 2U; });
  EXPECT_EQ(bench.report().engine, "lmdeploy");
}

TEST(EndpointProber, NumbersOfTheConfigurationBecomeNamedSignals) {
  config::EngineConfig mine{.name = "mine", .custom = {{"heat", {"oven_heat", {}}}}};
  Bench bench{ProberOptions{.extractor = {.engines = {mine}}}, {{"llm-d.ai/engine-type", "mine"}}};
  bench.engine.pages["/metrics"].second = "oven_heat{side=\"left\"} 180\n";
  bench.until([](const EndpointReport& report) {
    return report.state.signals != nullptr && report.state.signals->find("heat") != nullptr;
  });
  EXPECT_EQ(bench.report().state.signals->find("heat")->value, 180.0F);
}

TEST(EndpointProber, AsksOllamaForTheModelsThatItHasLoaded) {
  Bench bench;
  bench.engine.pages.erase("/metrics");
  bench.engine.pages["/api/ps"] = {200, R"({"models":[{"name":"llama3.2:3b","size":5}]})"};
  bench.until([](const EndpointReport& report) { return report.state.lora.value.has_value(); });
  EXPECT_EQ(bench.report().engine, "ollama");
  EXPECT_EQ((*bench.report().state.lora.value)->running, std::vector<std::string>{"llama3.2:3b"});
  const int asked = bench.engine.requests["/metrics"];
  bench.until([&](const EndpointReport&) { return bench.engine.requests["/api/ps"] > 5; });
  EXPECT_EQ(bench.engine.requests["/metrics"], asked) << "found once, not looked for again";
}

TEST(EndpointProber, AsksXllmWhereBrpcShowsItsPage) {
  Bench bench;
  bench.engine.pages.erase("/metrics");
  bench.engine.pages["/brpc_metrics"] = {200, "num_waiting_requests 2\nnum_running_requests 4\n"};
  bench.until([](const EndpointReport& report) { return report.state.running_requests.value == 4U; });
  EXPECT_EQ(bench.report().engine, "xllm");
}

TEST(EndpointProber, AnExporterBesideTheEndpointTellsOfItsMachine) {
  ProberOptions options;
  options.exporters.push_back({.kind = config::ExporterKind::kDcgm, .page = {.path = "/gpus"}});
  options.exporters.push_back(
      {.kind = config::ExporterKind::kNode, .page = {.path = "/node"}, .use_node_address = true});
  Bench bench{options, {{config::kNodeAddressLabel, "127.0.0.1"}}};
  bench.beside.pages["/gpus"] = {200,
                                 "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 40\nDCGM_FI_DEV_FB_USED{gpu=\"0\"} 3\n"
                                 "DCGM_FI_DEV_FB_FREE{gpu=\"0\"} 1\n"};
  bench.beside.pages["/node"] = {200, "node_memory_MemTotal_bytes 10\nnode_memory_MemAvailable_bytes 9\n"};
  bench.until([](const EndpointReport& report) { return report.node.memory_use && report.node.gpu_use; });
  bench.until([](const EndpointReport& report) {
    return report.state.signals != nullptr && (*report.state.signals)[Signal::kGpuUse].value.has_value();
  });
  const EndpointReport report = bench.report();
  EXPECT_FLOAT_EQ(*(*report.state.signals)[Signal::kGpuUse].value, 0.4F);
  EXPECT_FLOAT_EQ(*(*report.state.signals)[Signal::kMemoryUse].value, 0.75F) << "the GPU's, as there is one";
  EXPECT_FLOAT_EQ(*report.node.memory_use, 0.1F);
}

TEST(EndpointProber, AnExporterThatIsNotThereLeavesTheEndpointAlone) {
  ProberOptions options;
  options.exporters.push_back({.kind = config::ExporterKind::kDcgm, .page = {.path = "/none"}});
  options.exporters.push_back(
      {.kind = config::ExporterKind::kNode, .page = {.path = "/node"}, .use_node_address = true});
  Bench bench{options};  // no label of a node's address
  bench.until([&](const EndpointReport&) { return bench.beside.requests["/none"] > 2; });
  EXPECT_EQ(bench.report().state.health, EndpointHealth::kReady);
  EXPECT_EQ(bench.report().error, "");
  EXPECT_FALSE(bench.report().node.gpu_use);
}

TEST(EndpointProber, LooksComeLessOftenIfTheyWouldTakeTooMuchOfACore) {
  Bench bench{ProberOptions{.interval = milliseconds{2}, .cpu_share_max = 1e-4}};
  bench.until([&](const EndpointReport&) { return bench.gauge("llmd_pool_probe_interval_seconds") > 0.02; });
  bench.until([&](const EndpointReport&) { return bench.gauge("llmd_pool_metrics_age_seconds") > 0.01; });
  EXPECT_GT(bench.gauge("llmd_pool_probe_core_share"), 0);
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
