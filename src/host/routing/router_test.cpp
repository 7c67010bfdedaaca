#include "routing/router.h"

#include <gtest/gtest.h>

#include <thread>

#include "model/prefix_key.h"

namespace llmd::routing {
namespace {

struct Fixture {
  explicit Fixture(RouterOptions router_options = {}) : options{router_options} {}

  MetricsRegistry metrics;
  pool::Pool pool{{}};
  RouterOptions options;
  Router router{pool, *scheduling::Scheduler::make({}), options, metrics};
  RouteScratch scratch{1};

  void add(const std::string& name, const std::string& model, std::uint32_t waiting = 0) {
    const TimePoint now = SteadyClock::now();
    Endpoint endpoint;
    endpoint.name = name;
    endpoint.url = "http://127.0.0.1:1";
    pool.put(std::move(endpoint), now);
    pool::Probe probe;
    probe.readiness = pool::Probe::Readiness::kReady;
    probe.readings = pool::EngineReadings{};
    probe.readings->waiting_requests = waiting;
    probe.models = {{.id = model}};
    pool.on_probe(name, std::move(probe), now);
  }

  Route route(std::string body, const std::string& id = "r") {
    const auto fields = openai::read_routing_fields(body);
    EXPECT_TRUE(fields) << body;
    const TimePoint now = SteadyClock::now() + milliseconds{20};  // past the interval of the pool's views
    const auto model = router.resolve_model(*fields, now);
    EXPECT_TRUE(model) << model.error().to_string();
    return router.route({.request_id = id, .model = *model, .fields = *fields, .header = header}, scratch, now);
  }

  std::function<std::optional<std::string_view>(std::string_view)> header{};
};

TEST(Router, DecidesAndKeepsTheReason) {
  Fixture f;
  f.add("busy", "m", 50);
  f.add("idle", "m", 0);
  const Route route = f.route(R"({"model":"m","prompt":"hello there"})", "r1");
  ASSERT_EQ(route.decision.outcome, Decision::Outcome::kDispatch);
  EXPECT_EQ(route.decision.decode->name, "idle");
  const auto record = f.router.find("r1");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->chosen->name, "idle");
  EXPECT_FALSE(record->explanation.profiles.empty());
  EXPECT_FALSE(record->outcome);
}

TEST(Router, TimesPluginsForWhoShowsLlmDsPage) {
  MetricsRegistry page;
  eppmetrics::EppMetrics epp{page, {}};
  Fixture f{{.epp_metrics = &epp}};
  f.add("a", "m");
  const auto calls_of = [&](const char* point, const char* plugin) {
    return page
        .histogram("llm_d_epp_plugin_duration_seconds", "", {},
                   {{"extension_point", point}, {"plugin_type", plugin}, {"plugin_name", plugin}})
        .view()
        .count;
  };
  const Route route = f.route(R"({"model":"m","prompt":"x"})");
  EXPECT_FALSE(route.prediction_took);
  EXPECT_EQ(calls_of("Scorer", "queue-scorer"), 1U);
  EXPECT_EQ(calls_of("Filter", "model-filter"), 1U);
  EXPECT_EQ(calls_of("Picker", "max-score-picker"), 1U);
  f.router.set_scheduler(*scheduling::Scheduler::make({.plugins = {{.type = "expected-latency-scorer"}}}));
  EXPECT_TRUE(f.route(R"({"model":"m","prompt":"x"})").prediction_took);
  EXPECT_EQ(calls_of("DataProducer", "predicted-latency-producer"), 1U);
  EXPECT_EQ(calls_of("Picker", "max-score-picker"), 2U);
}

TEST(Router, RemembersWhyARequestWasRefused) {
  Fixture f;
  f.add("a", "m");
  f.router.refuse("early", {.code = ErrorCode::kOverloaded, .what = "full"});
  ASSERT_TRUE(f.router.find("early"));
  EXPECT_EQ(f.router.find("early")->refusal->code, ErrorCode::kOverloaded);
  EXPECT_TRUE(f.router.find("early")->explanation.profiles.empty());
  f.route(R"({"model":"other","prompt":"x"})", "decided");
  const auto decided = f.router.find("decided");
  ASSERT_TRUE(decided);
  EXPECT_EQ(decided->refusal.value().code, ErrorCode::kModelNotFound);
  EXPECT_EQ(decided->explanation.profiles.at(0).filtered.at(0).endpoint->name, "a");
  f.route(R"({"model":"m","prompt":"x"})", "decided");
  EXPECT_FALSE(f.router.find("decided")->refusal) << "of equal ids the last counts";
  f.router.refuse("decided", {.code = ErrorCode::kOverloaded, .what = "full"});
  EXPECT_TRUE(f.router.find("decided")->refusal);
}

TEST(Router, ExplainsAsManyInFullAsItMayAndTheOthersInBrief) {
  Fixture f{{.explained_per_second = 3}};
  f.add("a", "m", 9);
  f.add("b", "m", 0);
  f.add("c", "m", 5);
  int brief = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string id = std::to_string(i);
    const Route route = f.route(R"({"model":"m","prompt":"x"})", id);
    const auto record = f.router.find(id);
    ASSERT_TRUE(record) << id;
    EXPECT_EQ(record->chosen, route.decision.decode);
    brief += record->explanation.brief ? 1 : 0;
    EXPECT_EQ(record->explanation.profiles.at(0).candidates.size(), record->explanation.brief ? 2U : 3U);
  }
  EXPECT_GE(brief, 40);
  EXPECT_FALSE(f.router.find("0")->explanation.brief);
  EXPECT_EQ(f.metrics.counter("llmd_gateway_explanations_total", "", {{"detail", "brief"}}).value(), brief);
}

TEST(Router, ExplainsInFullWhatIsAskedForAndWhatIsRefused) {
  Fixture f{{.explained_per_second = 0}};
  f.add("a", "m");
  f.route(R"({"model":"m","prompt":"x"})", "plain");
  EXPECT_TRUE(f.router.find("plain")->explanation.brief);
  f.route(R"({"model":"other","prompt":"x"})", "refused");
  EXPECT_FALSE(f.router.find("refused")->explanation.brief);
  EXPECT_EQ(f.router.find("refused")->explanation.profiles.at(0).filtered.at(0).filter, "model-filter");
  for (const char* value : {"1", "0"}) {
    f.header = [value](std::string_view name) {
      return name == kExplainHeader ? std::optional<std::string_view>{value} : std::nullopt;
    };
    f.route(R"({"model":"m","prompt":"x"})", value);
    EXPECT_EQ(f.router.find(value)->explanation.brief, std::string_view{value} == "0");
  }
  int full = 0;
  f.header = [](std::string_view) { return std::optional<std::string_view>{"1"}; };
  for (int i = 0; i < 1'000; ++i) {
    f.route(R"({"model":"m","prompt":"x"})", "flood");
    full += f.router.find("flood")->explanation.brief ? 0 : 1;
  }
  EXPECT_LT(full, 600) << "a client cannot have everything explained";
}

TEST(Router, KeepsWhatFailedLongerThanWhatWentWell) {
  Fixture f{{.explained_per_second = 0, .brief_bytes_max = 8'000}};
  f.add("a", "m");
  const Route failed = f.route(R"({"model":"m","prompt":"x"})", "failed");
  f.router.finish(failed, {.request_id = "failed", .status = 200, .retries = 1}, SteadyClock::now());
  f.route(R"({"model":"m","prompt":"x"})", "well");
  for (int i = 0; i < 20; ++i) f.route(R"({"model":"m","prompt":"x"})", std::to_string(i));
  EXPECT_FALSE(f.router.find("well"));
  ASSERT_TRUE(f.router.find("failed"));
  EXPECT_EQ(f.router.find("failed")->outcome.value().retries, 1U);
}

TEST(Router, AFloodOfRefusalsLeavesTheDecisions) {
  Fixture f;
  f.add("a", "m");
  f.route(R"({"model":"m","prompt":"x"})", "kept");
  for (int i = 0; i < 5'000; ++i) {
    f.router.refuse("flood-" + std::to_string(i), {.code = ErrorCode::kOverloaded, .what = "full"});
  }
  EXPECT_TRUE(f.router.find("kept"));
  EXPECT_TRUE(f.router.find("flood-4999"));
  EXPECT_FALSE(f.router.find("flood-0"));
}

TEST(Router, KnowsTheFactsOfEachModelOfAnEndpoint) {
  Fixture f;
  f.add("a", "m");
  const TimePoint now = SteadyClock::now() + milliseconds{20};
  pool::Probe probe;
  probe.readiness = pool::Probe::Readiness::kReady;
  probe.models = {{.id = "m", .context_tokens = 100}, {.id = "long", .context_tokens = 900}};
  f.pool.on_probe("a", std::move(probe), now);
  EXPECT_EQ(f.router.facts_of_model("m", now + milliseconds{20}).context_tokens, 100U);
  EXPECT_EQ(f.router.facts_of_model("long", now + milliseconds{20}).context_tokens, 900U);
  const Route second = f.route(R"({"model":"long","prompt":"x"})");
  EXPECT_EQ(second.decision.outcome, Decision::Outcome::kDispatch);
}

TEST(Router, TheDefaultIsTheFirstModelAndAnUnknownOneIsSaidToBe) {
  Fixture f;
  std::string nothing = "{}";
  EXPECT_EQ(f.router.resolve_model(*openai::read_routing_fields(nothing), SteadyClock::now()).error().code,
            ErrorCode::kNoEndpoint);
  f.add("a", "m");
  EXPECT_EQ(f.route(R"({"model":"default","prompt":"x"})").facts.model, "m");
  EXPECT_EQ(f.route(R"({"prompt":"x"})").facts.model, "m");
  EXPECT_EQ(f.route(R"({"model":"other","prompt":"x"})").decision.outcome, Decision::Outcome::kModelUnknown);
}

TEST(Router, SendsASharedPrefixWhereItWasSentBeforeUntilThatIsForgotten) {
  Fixture f;
  f.add("a", "m");
  f.add("b", "m");
  const std::string body = R"({"model":"m","prompt":")" + std::string(4'000, 'x') + R"("})";
  const Route first = f.route(body);
  f.router.remember(first, SteadyClock::now());
  for (int i = 0; i < 8; ++i) EXPECT_EQ(f.route(body).decision.decode->name, first.decision.decode->name) << i;
  EXPECT_GT(f.route(body).decision.cached_tokens_expected, 0U);
  f.router.forget(first.decision.decode->name);
  EXPECT_EQ(f.route(body).decision.cached_tokens_expected, 0U);
}

TEST(Router, TellsWhatPluginsRemember) {
  Fixture f;
  f.add("a", "m");
  const Route sent = f.route(R"({"model":"m","prompt":")" + std::string(4'000, 'x') + R"("})");
  f.router.remember(sent, SteadyClock::now());
  const scheduling::PluginInstance more[] = {{.name = "order", .type = "fcfs-ordering-policy"}};
  const std::string page = f.router.plugin_states(SteadyClock::now(), std::chrono::sys_seconds{}, more);
  EXPECT_TRUE(page.starts_with(R"({"timestamp":"1970-01-01T00:00:00Z","plugins":{)")) << page;
  for (const char* part :
       {R"("approx-prefix-cache-producer":{"type":"approx-prefix-cache-producer","state":{"blocks":16,)",
        R"("endpoints":[{"name":"a","blocks":16}],"totalEndpoints":1,)",
        R"("inflight-load-producer":{"type":"inflight-load-producer","state":{"endpoints":[{"name":"a","requests":0,)",
        R"("order":{"type":"fcfs-ordering-policy","message":"this plugin remembers nothing"})"})
    EXPECT_NE(page.find(part), std::string::npos) << part << "\nis not in\n" << page;
}

TEST(Router, TokenIdsGiveAnExactCountAndTextAnEstimate) {
  Fixture f;
  f.add("a", "m");
  const Route ids = f.route(R"({"prompt":[1,2,3,4,5]})");
  EXPECT_TRUE(ids.facts.prompt_tokens_exact);
  EXPECT_EQ(ids.facts.prompt_tokens, 5U);
  const Route text = f.route(R"({"prompt":"12345678"})");
  EXPECT_FALSE(text.facts.prompt_tokens_exact);
  EXPECT_EQ(text.facts.prompt_tokens, 2U);
}

/// A worker of ours that tells how it names its blocks.
pool::Probe own_worker(std::uint8_t fingerprint) {
  pool::Probe probe;
  probe.readiness = pool::Probe::Readiness::kReady;
  probe.readings = pool::EngineReadings{.kv_block_tokens = 32};
  probe.models = {{.id = "m", .context_tokens = 1'000, .block_fingerprint = Digest256{fingerprint}}};
  return probe;
}

TEST(Router, MatchesGivenTokensByTheBlocksOfTheWorkers) {
  Fixture f;
  f.add("a", "m");
  f.add("b", "m");
  const TimePoint now = SteadyClock::now() + milliseconds{20};
  f.pool.on_probe("a", own_worker(1), now);
  f.pool.on_probe("b", own_worker(1), now);
  std::string body = R"({"model":"m","prompt":"text","cache_salt":"salt"})";
  const auto fields = openai::read_routing_fields(body);
  std::vector<openai::PromptTokens> prompts(1);
  prompts.front().tokens.assign(100, 7);
  const RouteRequest request{.request_id = "r", .model = "m", .fields = *fields, .prompts = prompts};
  const Route first = f.router.route(request, f.scratch, now + milliseconds{20});
  EXPECT_EQ(first.facts.prompt_tokens, 100U);
  EXPECT_TRUE(first.facts.prompt_tokens_exact);
  const BlockScope scope{.model_fingerprint = Digest256{1}, .tenant_salt = "salt"};
  EXPECT_EQ(first.facts.prefix.hashes, make_block_key(scope, prompts.front().tokens, 32, 2'048).hashes);
  f.router.remember(first, SteadyClock::now());
  const Route again = f.router.route(request, f.scratch, now + milliseconds{40});
  EXPECT_EQ(again.decision.decode->name, first.decision.decode->name);
  EXPECT_EQ(again.decision.cached_tokens_expected, 96U);
  EXPECT_EQ(f.router.find("r")->explanation.cached_tokens_expected, 96U);
  EXPECT_EQ(f.router.facts_of_model("m", now + milliseconds{60}).context_tokens, 1'000U);
  EXPECT_EQ(f.router.facts_of_model("other", now + milliseconds{60}).context_tokens, 0U);
}

TEST(Router, FallsBackToAHintOverTheTokensWhereWorkersNameBlocksDifferently) {
  Fixture f;
  f.add("a", "m");
  f.add("b", "m");
  const TimePoint now = SteadyClock::now() + milliseconds{20};
  f.pool.on_probe("a", own_worker(1), now);
  f.pool.on_probe("b", own_worker(2), now);
  std::string body = R"({"model":"m","prompt":"text"})";
  const auto fields = openai::read_routing_fields(body);
  std::vector<openai::PromptTokens> prompts(2);
  prompts.front().tokens.assign(100, 7);
  prompts.back().tokens.assign(10, 8);
  const Route route = f.router.route({.request_id = "r", .model = "m", .fields = *fields, .prompts = prompts},
                                     f.scratch, now + milliseconds{20});
  EXPECT_TRUE(route.facts.prompt_tokens_exact);
  EXPECT_EQ(route.facts.prompt_tokens, 110U) << "of all prompts";
  EXPECT_FALSE(route.facts.prefix.whole_blocks);
  EXPECT_EQ(route.facts.prefix.hashes, make_prefix_key(prompts.front().tokens, {.model = "m"}).hashes);
}

// While a request waits for flow control, all that its facts rest on can change.
TEST(Router, FactsThatWereMeasuredForOthersAreMadeAnew) {
  Fixture f;
  f.add("a", "m");
  const TimePoint now = SteadyClock::now() + milliseconds{20};
  f.pool.on_probe("a", own_worker(1), now);
  std::string body = R"({"model":"m","prompt":"text"})";
  const auto fields = openai::read_routing_fields(body);
  std::vector<openai::PromptTokens> prompts(1);
  prompts.front().tokens.assign(100, 7);
  RouteRequest request{.request_id = "r", .model = "m", .fields = *fields, .prompts = prompts};
  Work work = f.router.measure(request, f.scratch, now + milliseconds{20});
  const auto hashes = work.facts.prefix.hashes;
  ASSERT_EQ(hashes, make_block_key({.model_fingerprint = Digest256{1}}, prompts.front().tokens, 32, 2'048).hashes);
  work.facts.request_id = "measured";
  request.work = &work;
  EXPECT_EQ(f.router.route(request, f.scratch, now + milliseconds{40}).facts.request_id, "measured") << "taken";

  request.work = nullptr;
  work = f.router.measure(request, f.scratch, now + milliseconds{60});
  request.work = &work;
  f.pool.on_probe("a", own_worker(2), now + milliseconds{70});
  EXPECT_EQ(f.router.route(request, f.scratch, now + milliseconds{90}).facts.prefix.hashes,
            make_block_key({.model_fingerprint = Digest256{2}}, prompts.front().tokens, 32, 2'048).hashes)
      << "the worker has another model";

  request.work = nullptr;
  work = f.router.measure(request, f.scratch, now + milliseconds{110});
  work.facts.request_id = "measured";
  request.work = &work;
  f.router.set_scheduler(*scheduling::Scheduler::make({}));
  EXPECT_EQ(f.router.route(request, f.scratch, now + milliseconds{130}).facts.request_id, "r")
      << "another configuration may read other headers";
}

TEST(Router, ASweepForgetsEndpointsThatLeft) {
  Fixture f;
  f.add("a", "m");
  f.router.sweep(SteadyClock::now() + milliseconds{20});
  f.router.remember(f.route(R"({"prompt":")" + std::string(4'000, 'x') + R"("})"), SteadyClock::now());
  EXPECT_GT(f.router.prefix_stats().blocks, 0U);
  f.pool.remove("a");
  f.router.sweep(SteadyClock::now() + milliseconds{60});
  EXPECT_EQ(f.router.prefix_stats().blocks, 0U);
}

TEST(Router, LoopsDecideAtTheSameTime) {
  Fixture f;
  f.add("a", "m");
  f.add("b", "m");
  std::vector<std::thread> loops;
  for (std::uint64_t loop = 0; loop < 3; ++loop) {
    loops.emplace_back([&f, loop] {
      RouteScratch scratch{loop};
      for (int i = 0; i < 200; ++i) {
        std::string body = R"({"model":"m","prompt":")" + std::string(300, static_cast<char>('a' + i % 20)) + R"("})";
        const auto fields = openai::read_routing_fields(body);
        const std::string id = std::to_string(loop) + "-" + std::to_string(i);
        const Route route = f.router.route({.request_id = id, .model = "m", .fields = *fields}, scratch,
                                           SteadyClock::now() + milliseconds{20});
        ASSERT_EQ(route.decision.outcome, Decision::Outcome::kDispatch);
        f.router.remember(route, SteadyClock::now());
        f.router.finish(route, {.request_id = id, .endpoint = route.decision.decode->name}, SteadyClock::now());
        ASSERT_TRUE(f.router.find(id)->outcome);
      }
    });
  }
  for (std::thread& loop : loops) loop.join();
}

}  // namespace
}  // namespace llmd::routing
