#include "apps/sidecar/request_plan.h"

#include <gtest/gtest.h>

namespace llmd::sidecar {
namespace {

struct Planned {
  Options options;
  const pd::AllowList* allowed = nullptr;
  unsigned rank = 0;

  [[nodiscard]] RequestPlan operator()(std::vector<std::pair<const char*, const char*>> fields,
                                       const char* target = "/v1/chat/completions") const {
    net::Request request{.method = "POST", .target = target, .headers = {}, .body = {}, .peer = "10.9.9.9:1234"};
    for (const auto& [name, value] : fields) request.headers.add(name, value);
    Rng rng{1};
    return make_plan(request, {.options = options, .allowed = allowed, .rank = rank, .rng = rng});
  }
};

std::string prefill_of(const RequestPlan& plan) { return plan.prefill ? plan.prefill->to_string() : "none"; }

TEST(RequestPlan, TakesTheFirstPrefillTarget) {
  const Planned plan;
  const struct {
    std::vector<std::pair<const char*, const char*>> fields;
    const char* expected;
  } cases[] = {
      {{}, "none"},
      {{{"x-prefiller-host-port", ""}}, "none"},
      {{{"x-prefiller-host-port", " , ,"}}, "none"},
      {{{"x-prefiller-host-port", "a:8000"}}, "a:8000"},
      {{{"X-Prefiller-Host-Port", " a:8000 , b:8000"}}, "a:8000"},
      {{{"x-prefiller-host-port", "b:1"}, {"x-prefiller-host-port", "a:1"}}, "b:1"},
      {{{"x-prefiller-host-port", "http://a:8000"}}, "a:8000"},
      {{{"x-prefiller-host-port", "[fd00::1]:8000"}}, "[fd00::1]:8000"},
      {{{"x-prefiller-host-port", "a"}}, "none"},
      {{{"x-prefiller-host-port", "unix:/etc/passwd"}}, "none"},
  };
  for (const auto& item : cases) {
    const RequestPlan made = plan(item.fields);
    EXPECT_EQ(prefill_of(made), item.expected) << item.expected;
    EXPECT_FALSE(made.headers.get("x-prefiller-host-port")) << item.expected;
  }
  EXPECT_TRUE(plan({{"x-prefiller-host-port", "a"}}).prefill_unusable);
}

TEST(RequestPlan, AsksNobodyWhoIsNotAllowed) {
  const pd::AllowList list{{"10.0.0.1"}};
  Planned plan{.options = {}, .allowed = &list};
  plan.options.encoder_connector = EncoderConnector::kNixl;
  plan.options.connector = pd::Connector::kOffloading;
  EXPECT_EQ(prefill_of(plan({{"x-prefiller-host-port", "10.0.0.1:99"}})), "10.0.0.1:99");
  EXPECT_EQ(plan({{"x-prefiller-host-port", "10.0.0.2:99"}}).prefill_denied, "10.0.0.2:99");
  EXPECT_EQ(plan({{"x-prefiller-host-port", "nonsense"}}).prefill_denied, "nonsense");
  const RequestPlan others =
      plan({{"x-encoder-hosts-ports", "10.0.0.1:1,10.0.0.2:1,x"}, {"x-kv-cache-source-host-port", "10.0.0.3:1"}});
  EXPECT_EQ(others.encoders.size(), 1U);
  EXPECT_FALSE(others.kv_source);
  EXPECT_EQ(others.dropped, 3U);
}

TEST(RequestPlan, PullsOnlyWhereEnginesCan) {
  const struct {
    pd::Connector connector;
    bool flag;
    bool expected;
  } cases[] = {{pd::Connector::kOffloading, false, true},
               {pd::Connector::kNixl, true, true},
               {pd::Connector::kNixl, false, false},
               {pd::Connector::kSglang, true, false},
               {pd::Connector::kSharedStorage, true, false}};
  for (const auto& item : cases) {
    Planned plan;
    plan.options.connector = item.connector;
    plan.options.p2p_pull = item.flag;
    EXPECT_EQ(plan({{"x-kv-cache-source-host-port", "a:1"}}).kv_source.has_value(), item.expected)
        << pd::connector_name(item.connector);
  }
}

TEST(RequestPlan, FindsTheRankThatIsNamed) {
  Planned plan;
  plan.options.data_parallel_size = 2;
  plan.options.pod_ip = "10.1.1.1";
  EXPECT_EQ(plan({{"x-data-parallel-host-port", "10.1.1.1:8001"}}).rank, 1U);
  EXPECT_EQ(plan({}).rank, std::nullopt);
  for (const char* other : {"10.1.1.1:8002", "10.1.1.1:7999", "10.1.1.2:8001", "x"})
    EXPECT_TRUE(plan({{"x-data-parallel-host-port", other}}).rank_unknown) << other;
  plan.rank = 1;
  EXPECT_FALSE(plan({{"x-data-parallel-host-port", "x"}}).rank_unknown) << "only the first port looks";
}

TEST(RequestPlan, KeepsOneRequestIdAndSaysWhoAsked) {
  const Planned plan;
  const RequestPlan given =
      plan({{"x-request-id", "r"}, {"x-forwarded-for", "1.1.1.1"}, {"connection", "x-drop"}, {"x-drop", "1"}});
  EXPECT_EQ(given.headers.get("x-request-id"), "r");
  EXPECT_EQ(given.headers.get("x-forwarded-for"), "1.1.1.1, 10.9.9.9");
  EXPECT_FALSE(given.headers.get("x-drop"));
  EXPECT_EQ(plan({}).headers.get("x-request-id").value_or("").size(), 36U);
  EXPECT_FALSE(plan({}, "/v1/models").headers.get("x-request-id"));
  EXPECT_FALSE(plan({{"x-prefiller-host-port", "a:1"}}, "/v1/models").headers.get("x-prefiller-host-port"));
}

TEST(RequestPlan, ReadsThePathAsServersDo) {
  const Planned plan;
  EXPECT_EQ(prefill_of(plan({{"x-prefiller-host-port", "a:1"}}, "/v1/chat/completion%73?x=1")), "a:1");
  EXPECT_EQ(prefill_of(plan({{"x-prefiller-host-port", "a:1"}}, "/v1/chat/completion%2573")), "none");
}

TEST(P2pPort, IsOfTheRankThatThePortNames) {
  Options options;
  options.data_parallel_size = 4;
  const struct {
    std::uint16_t port;
    std::uint16_t expected;
  } cases[] = {{8000, 7777}, {8002, 7779}, {8003, 7780}, {7999, 7777}, {8004, 7777}};
  for (const auto& item : cases)
    EXPECT_EQ(p2p_port_of({.host = "a", .port = item.port, .unix_path = {}}, options), item.expected) << item.port;
  options.data_parallel_size = 1;
  EXPECT_EQ(p2p_port_of({.host = "a", .port = 8003, .unix_path = {}}, options), 7777);
}

}  // namespace
}  // namespace llmd::sidecar
