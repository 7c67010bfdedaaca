#include "admin/admin_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "net/client.h"
#include "runtime/testing/run.h"

namespace llmd::admin {
namespace {

using Json = nlohmann::json;

std::shared_ptr<const Endpoint> endpoint(std::string name) {
  Endpoint made;
  made.name = std::move(name);
  return std::make_shared<const Endpoint>(std::move(made));
}

routing::RequestRecord record() {
  routing::RequestRecord made;
  made.explanation.request_id = "r1";
  made.chosen = endpoint("a");
  ProfileExplanation profile;
  profile.profile = "default";
  profile.picker = "max-score-picker";
  profile.chosen = "a";
  profile.arm = "trial";
  profile.runner_up = "b";
  profile.scorers = {{.name = "queue-scorer", .weight = 2}, {.name = "prefix-cache-scorer", .weight = 3}};
  profile.filtered = {{endpoint("c"), "health-filter", "is down"}};
  profile.candidates = {
      {.endpoint = made.chosen, .total = 2.5F, .predicted = PredictedLatency{.ttft_ms = 40, .tpot_ms = 8}},
      {.endpoint = endpoint("b"), .total = 2}};
  profile.parts = {{.score = 0.5F, .metric_age_ms = 7}, {.score = 0.5F}, {.score = 1}, {.metric_missing = true}};
  profile.others = {{.policy = "random", .endpoint = profile.candidates[1].endpoint}};
  profile.filtered_total = 1;
  profile.candidates_total = 2;
  made.explanation.predicted = profile.candidates[0].predicted;
  made.explanation.profiles.push_back(std::move(profile));
  made.outcome = Outcome{.request_id = "r1", .endpoint = "a", .status = 200};
  return made;
}

struct Bench {
  Loop loop{"test"};
  std::string path = "/tmp/llmd-admin-test-" + std::to_string(::getpid()) + ".sock";
  std::unique_ptr<AdminServer> server;
  std::string steered{};

  Bench() {
    AdminSources sources{
        .record = [](std::string_view id) { return id == "r1" ? std::optional{record()} : std::nullopt; },
        .endpoints =
            [] {
              pool::EndpointReport report;
              Endpoint endpoint;
              endpoint.name = "a\xff";
              report.state.endpoint = std::make_shared<const Endpoint>(std::move(endpoint));
              report.state.waiting_requests = {.value = 3, .at = SteadyClock::now()};
              return std::vector{report};
            },
        .config_json = [] { return std::string{R"({"c":1})"}; },
        .summary_json = [] { return std::string{R"({"s":1})"}; },
        .weights_json = [this] { return Result<std::string>{R"({"last":")" + steered + R"("})"}; },
        .steer_weights = [this](std::string_view action) -> Result<void> {
          if (action != "freeze") return fail(ErrorCode::kNotFound, "no such action");
          steered = action;
          return {};
        },
    };
    auto listening = AdminServer::listen(loop, *net::Address::parse("unix:" + path), std::move(sources));
    EXPECT_TRUE(listening) << listening.error().to_string();
    server = *std::move(listening);
  }
  ~Bench() { ::unlink(path.c_str()); }

  std::pair<int, std::string> get(const std::string& target, const std::string& method = "GET") {
    std::pair<int, std::string> got;
    auto call = [&]() -> Task<void> {
      net::Client client{loop, {}};
      auto response =
          co_await client.send(*net::Address::parse("unix:" + path), {.method = method, .target = target}, nullptr);
      if (!response) co_return;
      got.first = (*response)->status();
      auto body = co_await (*response)->read_all(1'000'000);
      if (body) got.second = *std::move(body);
    };
    testkit::run_task(loop, call());
    return got;
  }
};

TEST(AdminServer, TellsWhyARequestWentWhereItWent) {
  Bench bench;
  const auto [status, body] = bench.get("/explanations/r1");
  EXPECT_EQ(status, 200);
  const Json json = Json::parse(body);
  EXPECT_EQ(json["chosen"], "a");
  EXPECT_EQ(json["profiles"][0]["arm"], "trial");
  EXPECT_EQ(json["profiles"][0]["candidates"][0]["total"], 2.5);
  EXPECT_EQ(json["profiles"][0]["filtered"][0]["reason"], "is down");
  EXPECT_EQ(json["profiles"][0]["candidates"][0]["parts"][0]["weighted"], 1.0);
  EXPECT_EQ(json["profiles"][0]["candidates"][1]["parts"][1]["metric_missing"], true);
  EXPECT_EQ(json["profiles"][0]["candidates"][1]["predicted"], nullptr);
  EXPECT_EQ(json["predicted"]["ttft_ms"], 40.0);
  const Json runner_up = json["profiles"][0]["runner_up"];
  EXPECT_EQ(runner_up, Json::parse(R"({"endpoint":"b","behind":0.5,"because":[
    {"scorer":"prefix-cache-scorer","difference":-1.5},{"scorer":"queue-scorer","difference":1.0}]})"));
  EXPECT_EQ(json["profiles"][0]["others"][0]["policy"], "random");
  EXPECT_EQ(json["outcome"]["status"], 200);
  EXPECT_EQ(bench.get("/explanations/r2").first, 404);
}

TEST(AdminServer, TellsWhyNotAnotherEndpoint) {
  Bench bench;
  const Json lower = Json::parse(bench.get("/explanations/r1?why_not=b").second);
  EXPECT_EQ(lower["profiles"][0]["verdict"], "scored_lower");
  EXPECT_EQ(lower["profiles"][0]["chosen_predicted"]["ttft_ms"], 40.0);
  EXPECT_EQ(lower["profiles"][0]["scorers"][1]["chosen_metric_age_ms"], 7);
  EXPECT_EQ(Json::parse(bench.get("/explanations/r1?why_not=%63").second)["profiles"][0]["filter"], "health-filter");
  const Json unknown = Json::parse(bench.get("/explanations/r1?why_not=zzzzzz").second);
  EXPECT_EQ(unknown["endpoint"], nullptr);
  EXPECT_NE(unknown["hint"], "");
  EXPECT_EQ(bench.get("/explanations/r2?why_not=b").first, 404);
}

TEST(AdminServer, ListsEndpointsAlsoWithNamesThatAreNoText) {
  Bench bench;
  const auto [status, body] = bench.get("/endpoints");
  EXPECT_EQ(status, 200);
  const Json json = Json::parse(body);
  EXPECT_EQ(json["endpoints"][0]["waiting_requests"]["value"], 3);
  EXPECT_EQ(json["endpoints"][0]["kv_usage"], nullptr);
}

TEST(AdminServer, OnlyItsOwnerCanUseItAndOnlyToRead) {
  Bench bench;
  struct stat info{};
  ASSERT_EQ(::stat(bench.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(bench.get("/config", "POST").first, 405);
  EXPECT_EQ(bench.get("/config").second, R"({"c":1})");
  EXPECT_EQ(bench.get("/nothing").first, 404);
}

TEST(AdminServer, SteersLearnedWeightsByPostOnly) {
  Bench bench;
  EXPECT_EQ(bench.get("/weights").second, R"({"last":""})");
  EXPECT_EQ(bench.get("/weights/freeze").first, 404);
  EXPECT_EQ(bench.get("/weights/freeze", "POST"), (std::pair<int, std::string>{200, R"({"last":"freeze"})"}));
  EXPECT_EQ(bench.get("/weights/melt", "POST").first, 404);
}

TEST(AdminServer, RefusesToListenOnTheNetwork) {
  Loop loop{"test"};
  const auto listening = AdminServer::listen(loop, *net::Address::parse("127.0.0.1:0"), {});
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().code, ErrorCode::kAddressInvalid);
}

}  // namespace
}  // namespace llmd::admin
