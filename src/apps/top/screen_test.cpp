#include "apps/top/screen.h"

#include <gtest/gtest.h>

namespace llmd::top {
namespace {

constexpr const char* kSummary =
    R"({"listen":"127.0.0.1:8080","requests_in_flight":2,"requests":10,"prompt_tokens":100,)"
    R"("completion_tokens":50})";
constexpr const char* kEndpoints =
    R"({"endpoints":[{"name":"worker-0","health":"ready","inflight_requests":2,)"
    R"("running_requests":{"value":3,"age_ms":5},)"
    R"("waiting_requests":null,"kv_usage":{"value":0.5,"age_ms":5},"generation_tokens":50,"prefix_query_tokens":200,)"
    R"("prefix_hit_tokens":50}]})";

TEST(TopScreen, ShowsEachEndpointAndRatesSinceTheLastLook) {
  const auto before = read_sample(kSummary, kEndpoints);
  ASSERT_TRUE(before) << before.error().to_string();
  Sample now = *before;
  now.requests += 4;
  now.rows[0].generation_tokens += 30;
  const std::string screen = render(now, &*before, std::chrono::seconds{2});
  for (const char* part :
       {"127.0.0.1:8080: 2 in flight", "2.0 requests/s", "worker-0", "ready", " 50 ", " 15 ", "25%", " - "}) {
    EXPECT_NE(screen.find(part), std::string::npos) << part << " is missing in:\n" << screen;
  }
}

TEST(TopScreen, NamesThePoolWhereThereAreSeveral) {
  std::string endpoints = kEndpoints;
  endpoints.insert(endpoints.find(R"("health")"), R"("pool":"canary",)");
  const auto sample = read_sample(kSummary, endpoints);
  ASSERT_TRUE(sample) << sample.error().to_string();
  EXPECT_EQ(sample->rows[0].name, "canary: worker-0");
}

TEST(TopScreen, ACounterThatWentBackIsNoNegativeRate) {
  const auto before = read_sample(kSummary, kEndpoints);
  ASSERT_TRUE(before);
  Sample now = *before;
  now.rows[0].generation_tokens = 0;
  EXPECT_EQ(render(now, &*before, std::chrono::seconds{1}).find("-50"), std::string::npos);
}

TEST(TopScreen, RefusesOtherAnswers) {
  EXPECT_FALSE(read_sample("{}", kEndpoints));
  EXPECT_FALSE(read_sample(kSummary, R"({"endpoints":[{}]})"));
  EXPECT_FALSE(read_sample("x", "y"));
}

}  // namespace
}  // namespace llmd::top
