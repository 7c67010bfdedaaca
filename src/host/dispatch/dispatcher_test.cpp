#include "dispatch/dispatcher.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "runtime/event.h"
#include "runtime/testing/run.h"

namespace llmd::dispatch {
namespace {

using Behaviour = std::function<Task<void>(net::Request, net::Exchange&)>;

constexpr std::string_view kEvent = "data: {\"choices\":[]}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

Task<void> stream(net::Exchange& exchange, bool complete) {
  net::Headers headers;
  headers.add("Content-Type", "text/event-stream");
  (void)co_await exchange.start(200, std::move(headers));
  (void)co_await exchange.write(kEvent);
  if (!complete) co_return;  // the server cuts what was not finished
  (void)co_await exchange.write(kDone);
  (void)co_await exchange.finish();
}

/// Engines, a front server that dispatches to them, and a client, all real and on one loop.
class Bench {
 public:
  /// `labels` are of the last engine.
  explicit Bench(std::vector<Behaviour> engines, DispatchOptions options = {},
                 std::map<std::string, std::string> labels = {}) {
    std::vector<Endpoint> endpoints;
    for (Behaviour& engine : engines) {
      servers_.push_back(
          *net::Server::listen({&loop}, {.listen = *net::Address::parse("127.0.0.1:0")}, std::move(engine)));
      Endpoint endpoint;
      endpoint.name = "engine-" + std::to_string(endpoints.size());
      endpoint.url = "http://" + servers_.back()->address().to_string();
      endpoint.models = {{.id = "m"}};
      endpoints.push_back(std::move(endpoint));
    }
    endpoints.back().labels = std::move(labels);
    pool.set_endpoints(endpoints, SteadyClock::now());
    dispatcher_ = std::make_unique<Dispatcher>(loop, pool, router, metrics, options);
    auto handler = [this](net::Request request, net::Exchange& exchange) {
      return front(std::move(request), exchange);
    };
    front_ = *net::Server::listen({&loop}, {.listen = *net::Address::parse("127.0.0.1:0")}, handler);
  }

  /// What a client gets; an empty answer if the connection broke.
  std::string ask() {
    std::string got;
    auto call = [&]() -> Task<void> {
      auto response = co_await client.send(front_->address(),
                                           {.method = "POST", .target = "/v1/chat/completions", .body = "{}"}, nullptr);
      if (!response) co_return;
      status = (*response)->status();
      auto body = co_await (*response)->read_all(1'000'000);
      if (body) got = *std::move(body);
    };
    testkit::run_task(loop, call());
    return got;
  }

  double count(std::string_view name) {
    for (const auto& family : metrics.collect()) {
      if (family.name == name) return family.series.front().counter->value();
    }
    return -1;
  }

  /// Nobody listens there any more.
  void stop(std::size_t engine) { servers_[engine]->close(); }

  [[nodiscard]] const net::Address& front_address() const { return front_->address(); }

  Loop loop{"test"};
  MetricsRegistry metrics;
  pool::Pool pool{{}};
  routing::Router router{pool, *scheduling::Scheduler::make({}), {}, metrics};
  net::Client client{loop, {}};
  int status = 0;
  Outcome outcome;
  std::size_t done = 0;
  bool hides_usage = false;
  Revocation revocation;
  std::size_t counted = 0;
  std::uint32_t in_flight_when_counted = 0;
  bool prefills_at_last = false;  // the last engine gets a prefill leg and nothing else

 private:
  /// Decides by the order of the engines, so that each test knows who comes first.
  Task<void> front(net::Request request, net::Exchange& exchange) {
    DispatchRequest sent{
        .method = request.method, .target = request.target, .headers = {}, .body = request.body, .route = {}};
    const auto view = pool.view(SteadyClock::now());
    sent.route.facts.request_id = "r";
    sent.route.facts.prompt_tokens = 9;
    sent.route.facts.prompt_tokens_exact = true;
    sent.hides_usage = hides_usage;
    sent.revocation = &revocation;
    sent.counted = [this, view] {
      ++counted;
      for (const auto& counters : view->in_flight) in_flight_when_counted += counters->requests;
    };
    sent.route.decision.outcome = Decision::Outcome::kDispatch;
    for (const EndpointState& state : view->snapshot.endpoints) {
      if (sent.route.decision.decode == nullptr) {
        sent.route.decision.decode = state.endpoint;
      } else {
        sent.route.decision.decode_fallbacks.push_back(state.endpoint);
      }
    }
    if (prefills_at_last) {
      sent.route.decision.prefill = sent.route.decision.decode_fallbacks.back();
      sent.route.decision.decode_fallbacks.pop_back();
    }
    outcome = co_await dispatcher_->carry_out(sent, exchange);
    ++done;
  }

  std::vector<std::unique_ptr<net::Server>> servers_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<net::Server> front_;
};

Task<void> complete(net::Request, net::Exchange& exchange) { co_await stream(exchange, true); }
Task<void> cut(net::Request, net::Exchange& exchange) { co_await stream(exchange, false); }
Task<void> head_only(net::Request, net::Exchange& exchange) {
  net::Headers headers;
  headers.add("Content-Type", "text/event-stream");
  (void)co_await exchange.start(200, std::move(headers));
}

TEST(Dispatcher, PassesAStreamOnAndTellsTheOutcome) {
  Bench bench{{complete}};
  EXPECT_EQ(bench.ask(), std::string{kEvent} + std::string{kDone});
  EXPECT_EQ(bench.outcome.status, 200);
  EXPECT_EQ(bench.outcome.endpoint, "engine-0");
  EXPECT_EQ(bench.outcome.completion_tokens, 1U);
  EXPECT_FALSE(bench.outcome.endpoint_failed);
  EXPECT_EQ(bench.pool.view(SteadyClock::now())->in_flight[0]->requests, 0U);
}

TEST(Dispatcher, TakesTheTokensOfAStreamFromAUsageThatOnlyItAskedFor) {
  auto with_usage = [](net::Request, net::Exchange& exchange) -> Task<void> {
    net::Headers headers;
    headers.add("Content-Type", "text/event-stream");
    (void)co_await exchange.start(200, std::move(headers));
    (void)co_await exchange.write(kEvent);
    (void)co_await exchange.write(kEvent);
    (void)co_await exchange.write("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n");
    (void)co_await exchange.write(kDone);
    (void)co_await exchange.finish();
  };
  Bench bench{{with_usage}};
  bench.hides_usage = true;
  EXPECT_EQ(bench.ask(), std::string{kEvent} + std::string{kEvent} + std::string{kDone});
  EXPECT_EQ(bench.outcome.prompt_tokens, 7U);
  EXPECT_EQ(bench.outcome.completion_tokens, 1U);
}

TEST(Dispatcher, ACutStreamCountsItsEventsAndAPromptThatIsKnown) {
  Bench bench{{cut}};
  (void)bench.ask();
  EXPECT_EQ(bench.outcome.prompt_tokens, 9U);
  EXPECT_EQ(bench.outcome.completion_tokens, 1U);
}

Behaviour answering(int status, std::string body) {
  return [status, body = std::move(body)](net::Request, net::Exchange& exchange) -> Task<void> {
    net::Response response{.status = status, .headers = {}, .body = body};
    response.headers.add("Content-Type", "text/html");
    (void)co_await exchange.respond(std::move(response));
  };
}

constexpr std::string_view kBadField =
    R"({"error":{"message":"top_p is 7","type":"invalid_request_error","param":"top_p","code":"invalid_request"}})";

TEST(Dispatcher, ShapesErrorsOfForeignServersAndLeavesOthersAsTheyAre) {
  Bench foreign{{answering(500, "<html>oops</html>")}};
  EXPECT_EQ(foreign.ask(), R"({"error":{"message":"the endpoint answered 500 and did not say why",)"
                           R"("type":"server_error","param":null,"code":"upstream_failed"}})");
  EXPECT_EQ(foreign.status, 500);
  Bench refused{{answering(429, R"({"detail":"busy"})")}};
  EXPECT_EQ(refused.ask(),
            R"({"error":{"message":"busy","type":"rate_limit_error","param":null,"code":"overloaded"}})");
  EXPECT_EQ(refused.status, 429);
  Bench own{{answering(400, std::string{kBadField})}};
  EXPECT_EQ(own.ask(), kBadField);
  Bench fine{{answering(200, "<html>no JSON</html>")}};
  EXPECT_EQ(fine.ask(), "<html>no JSON</html>");
}

TEST(Dispatcher, ARequestThatThePrefillEndpointFindsWrongIsAnsweredSo) {
  Bench bench{{complete, answering(400, std::string{kBadField})}};
  bench.prefills_at_last = true;
  EXPECT_EQ(bench.ask(), kBadField);
  EXPECT_EQ(bench.status, 400);
  EXPECT_EQ(bench.outcome.status, 400);
  EXPECT_EQ(bench.outcome.endpoint, "engine-1");
  EXPECT_EQ(bench.outcome.prefill_error, "");
  EXPECT_EQ(bench.count("llmd_gateway_prefill_failures_total"), 0);
}

TEST(Dispatcher, APrefillLegThatFailedIsToldAndItsPromptCountsAsRecomputed) {
  const std::string about_the_leg =
      R"({"error":{"message":"no","type":"invalid_request_error","param":"kv_transfer_params","code":null}})";
  for (const auto& [status, body] :
       std::vector<std::pair<int, std::string>>{{500, ""}, {400, about_the_leg}, {404, "{}"}}) {
    Bench bench{{complete, answering(status, body)}};
    bench.prefills_at_last = true;
    EXPECT_EQ(bench.ask(), std::string{kEvent} + std::string{kDone}) << status;
    EXPECT_EQ(bench.outcome.prefill_endpoint, "engine-1");
    EXPECT_EQ(bench.outcome.prefill_error, "upstream_failed: it answered " + std::to_string(status));
    EXPECT_EQ(bench.outcome.kv_recomputed_tokens, 9U) << "the prompt";
    EXPECT_EQ(bench.count("llmd_gateway_prefill_failures_total"), 1);
  }
}

/// Notes the body, and answers whole.
Behaviour noting(std::string& body, int status = 200) {
  return [&body, status](net::Request request, net::Exchange& exchange) -> Task<void> {
    body = std::move(request.body);
    net::Response answer;
    answer.status = status;
    answer.body = "{}";
    (void)co_await exchange.respond(std::move(answer));
  };
}
Task<void> silent(net::Request, net::Exchange&) { co_await sleep_for(seconds{20}); }

TEST(Dispatcher, SglangsLegsAreSentAtOnceAndMeetInARoom) {
  std::string prefill;
  std::string decode;
  const std::string port{kBootstrapPortLabel};
  Bench bench{{noting(decode), noting(prefill)}, {}, {{std::string{kConnectorLabel}, "sglang"}, {port, "9001"}}};
  bench.prefills_at_last = true;
  EXPECT_EQ(bench.ask(), "{}");
  testkit::run_task(bench.loop, sleep_for(milliseconds{50}));
  EXPECT_EQ(prefill, decode);
  EXPECT_TRUE(decode.starts_with(R"({"bootstrap_host":"127.0.0.1","bootstrap_port":9001,"bootstrap_room":)")) << decode;
  EXPECT_EQ(bench.outcome.prefill_endpoint, "engine-1");
  EXPECT_EQ(bench.outcome.prefill_error, "");
}

TEST(Dispatcher, SglangsLegsMeetInAnotherRoomAfterOneWasSeen) {
  std::string first;
  std::string second;
  std::string prefill;
  const auto leaves = [&first](net::Request request, net::Exchange& exchange) -> Task<void> {
    first = request.body;
    co_await head_only(std::move(request), exchange);
  };
  Bench bench{{leaves, noting(second), noting(prefill)}, {}, {{std::string{kConnectorLabel}, "sglang"}}};
  bench.prefills_at_last = true;
  EXPECT_EQ(bench.ask(), "{}");
  testkit::run_task(bench.loop, sleep_for(milliseconds{50}));
  EXPECT_NE(first, second);
  EXPECT_NE(first.find("bootstrap_room"), std::string::npos) << first;
  EXPECT_EQ(prefill, second);
  EXPECT_EQ(bench.outcome.retries, 1U);
  EXPECT_EQ(bench.outcome.prefill_error, "");
  EXPECT_EQ(bench.count("llmd_gateway_prefill_legs_total"), 2);
  EXPECT_EQ(bench.count("llmd_gateway_prefill_failures_total"), 0);
}

TEST(Dispatcher, ADecodeLegThatWaitsInVainIsGivenUp) {
  std::string prefill;
  Bench bench{{silent, noting(prefill, 500)}, {}, {{std::string{kConnectorLabel}, "sglang"}}};
  bench.prefills_at_last = true;
  EXPECT_NE(bench.ask().find("upstream_failed"), std::string::npos);
  EXPECT_EQ(bench.status, 503);
  EXPECT_EQ(bench.outcome.prefill_error, "upstream_failed: it answered 500");
  EXPECT_FALSE(bench.outcome.endpoint_failed) << "the decode endpoint did nothing wrong";
  EXPECT_EQ(bench.count("llmd_gateway_prefill_failures_total"), 1);
  EXPECT_EQ(bench.outcome.retries, 0U);
}

TEST(Dispatcher, SharedStorageIsFilledFirst) {
  std::string prefill;
  std::string decode;
  Bench bench{{noting(decode), noting(prefill)}, {}, {{std::string{kConnectorLabel}, "shared-storage"}}};
  bench.prefills_at_last = true;
  EXPECT_EQ(bench.ask(), "{}");
  EXPECT_NE(prefill.find(R"("max_tokens":1)"), std::string::npos) << prefill;
  EXPECT_EQ(decode, R"({"cache_hit_threshold":0})");
}

TEST(Dispatcher, AConnectorThatIsNotSpokenCostsThePromptOnly) {
  std::string prefill = "untouched";
  Bench bench{{complete, noting(prefill)}, {}, {{std::string{kConnectorLabel}, "mooncake"}}};
  bench.prefills_at_last = true;
  EXPECT_EQ(bench.ask(), std::string{kEvent} + std::string{kDone});
  EXPECT_EQ(prefill, "untouched");
  EXPECT_NE(bench.outcome.prefill_error.find(kConnectorLabel), std::string::npos) << bench.outcome.prefill_error;
}

TEST(Dispatcher, TriesTheNextEndpointWhileNothingWasSent) {
  Bench bench{{head_only, complete}};
  EXPECT_EQ(bench.ask(), std::string{kEvent} + std::string{kDone});
  EXPECT_EQ(bench.outcome.retries, 1U);
  EXPECT_EQ(bench.outcome.endpoint, "engine-1");
}

TEST(Dispatcher, TriesNoMoreEndpointsThanAllowed) {
  Bench bench{{head_only, head_only, complete}, {.attempts_max = 2}};
  const std::string answer = bench.ask();
  EXPECT_EQ(bench.status, 503);
  EXPECT_NE(answer.find("upstream_failed"), std::string::npos) << answer;
  EXPECT_EQ(bench.outcome.retries, 1U);
}

TEST(Dispatcher, EndpointsWhereNobodyListensDoNotCountAsTried) {
  Bench bench{{complete, complete, complete, head_only, complete}, {.attempts_max = 2}};
  for (std::size_t i = 0; i < 3; ++i) bench.stop(i);
  EXPECT_EQ(bench.ask(), std::string{kEvent} + std::string{kDone});
  EXPECT_EQ(bench.outcome.endpoint, "engine-4");
  EXPECT_EQ(bench.outcome.retries, 4U);
}

TEST(Dispatcher, EndsACutStreamWithAnErrorEvent) {
  Bench bench{{cut, complete}};
  const std::string answer = bench.ask();
  EXPECT_TRUE(answer.starts_with(kEvent)) << answer;
  EXPECT_NE(answer.find(R"("code":"upstream_failed")"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(bench.outcome.endpoint_failed);
  EXPECT_EQ(bench.outcome.retries, 0U);
}

TEST(Dispatcher, ARequestThatIsTakenBackIsAnsweredSoAndNobodyIsBlamed) {
  Bench* at = nullptr;
  Bench bench{{[&at](net::Request, net::Exchange&) -> Task<void> {
                 at->revocation.revoke();
                 co_return;
               },
               complete}};
  at = &bench;
  const std::string answer = bench.ask();
  EXPECT_EQ(bench.status, 429);
  EXPECT_NE(answer.find("request evicted by flow control"), std::string::npos) << answer;
  EXPECT_EQ(bench.outcome.retries, 0U);
  EXPECT_FALSE(bench.outcome.endpoint_failed);
  EXPECT_FALSE(bench.revocation.revoke) << "it is over";
}

TEST(Dispatcher, ARequestThatIsTakenBackBeforehandIsNotSent) {
  Bench bench{{complete}};
  bench.revocation.ask();
  const std::string answer = bench.ask();
  EXPECT_EQ(bench.status, 429);
  EXPECT_NE(answer.find("request evicted by flow control"), std::string::npos) << answer;
  EXPECT_EQ(bench.counted, 0U);
  EXPECT_EQ(bench.outcome.endpoint, "");
}

TEST(Dispatcher, TellsOnceThatThePoolCountsTheRequest) {
  Bench bench{{head_only, complete}};
  bench.ask();
  EXPECT_EQ(bench.outcome.retries, 1U);
  EXPECT_EQ(bench.counted, 1U);
  EXPECT_EQ(bench.in_flight_when_counted, 1U);
}

TEST(Dispatcher, AStreamThatIsTakenBackEndsWithAnErrorEvent) {
  Bench* at = nullptr;
  Bench bench{{[&at](net::Request, net::Exchange& exchange) -> Task<void> {
    net::Headers headers;
    headers.add("Content-Type", "text/event-stream");
    (void)co_await exchange.start(200, std::move(headers));
    (void)co_await exchange.write(kEvent);
    Event left{at->loop};
    exchange.on_disconnect([&] { left.set(); });
    at->loop.post([at] { at->revocation.revoke(); });
    (void)co_await left.wait_until(SteadyClock::now() + seconds{10});
  }}};
  at = &bench;
  const std::string answer = bench.ask();
  EXPECT_NE(answer.find("request evicted by flow control"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("[DONE]"), std::string::npos);
  EXPECT_EQ(bench.count("llmd_gateway_cancelled_total"), 0);
}

TEST(Dispatcher, AnAnswerThatNeverComesEndsWithTheRequestsTime) {
  auto silent = [](net::Request, net::Exchange& exchange) -> Task<void> {
    co_await sleep_for(seconds{2});
    (void)exchange;
  };
  Bench bench{{silent}, {.request_timeout = milliseconds{100}}};
  const std::string answer = bench.ask();
  EXPECT_EQ(bench.status, 504);
  EXPECT_NE(answer.find("upstream_timeout"), std::string::npos) << answer;
}

TEST(Dispatcher, ClosesTheEndpointsConnectionWhenTheClientLeaves) {
  bool left = false;
  auto endless = [&left](net::Request, net::Exchange& exchange) -> Task<void> {
    exchange.on_disconnect([&left] { left = true; });
    net::Headers headers;
    headers.add("Content-Type", "text/event-stream");
    (void)co_await exchange.start(200, std::move(headers));
    (void)co_await exchange.write(kEvent);
    for (int i = 0; i < 500 && !left; ++i) co_await sleep_for(milliseconds{10});
    exchange.on_disconnect(nullptr);
  };
  Bench bench{{endless}};
  {
    net::CancelToken token;
    auto leave = [&]() -> Task<void> {
      auto response =
          co_await bench.client.send(bench.front_address(), {.method = "POST", .target = "/", .body = "{}"}, &token);
      if (response) (void)co_await (*response)->read();
    };
    testkit::run_task(bench.loop, leave());
  }
  testkit::run_until(bench.loop, [&] { return left && bench.done == 1; });
  EXPECT_TRUE(bench.outcome.cancelled);
  EXPECT_FALSE(bench.outcome.endpoint_failed) << "a client that leaves is no fault of the endpoint's";
}

}  // namespace
}  // namespace llmd::dispatch
