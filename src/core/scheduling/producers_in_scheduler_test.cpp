#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/budget.h"
#include "scheduling/scheduler.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;

/// A scheduler with what a host keeps for it.
struct Host {
  explicit Host(SchedulingConfig config, std::vector<testing::EndpointSpec> endpoints)
      : scheduler{*Scheduler::make(std::move(config))},
        memory{scheduler.make_memory(nullptr)},
        snapshot{testing::make_snapshot(endpoints)} {}

  Decision decide(const RequestFacts& request) {
    return scheduler.decide(
        {.request = request, .snapshot = snapshot, .index = index, .now = kNow, .live = {}, .memory = &memory}, rng,
        scratch, nullptr);
  }
  void send(const RequestFacts& request) {
    const Decision decision = decide(request);
    remember(decision, request.prefix, index, kNow);
    scheduler.sent(request, decision, kNow, memory);
  }

  Scheduler scheduler;
  SchedulerMemory memory;
  EndpointSnapshot snapshot;
  Budget budget{"index", std::size_t{1} << 24U};
  PrefixIndex index{{}, budget};
  Rng rng{7};
  DecisionScratch scratch;
};

SchedulingConfig config_of(std::vector<PluginInstance> plugins) { return {.plugins = std::move(plugins)}; }

TEST(MediaInScheduler, SendsAnImageToWhoHasEncodedIt) {
  Host host{config_of({{.type = "mm-embeddings-cache-scorer"}, {.type = "mm-embeddings-cache-producer"}}),
            {{.name = "a"}, {.name = "b"}, {.name = "c"}}};
  RequestFacts request{.model = "m"};
  request.media = {{.hash = 42, .weight = 100}};
  host.send(request);
  const std::string first = host.decide(request).decode->name;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(host.decide(request).decode->name, first);
}

TEST(MediaInScheduler, TakesThemForAsManyTokensAsTokenProducerSays) {
  const auto tokens = [](std::vector<PluginInstance> plugins) {
    const auto scheduler = Scheduler::make(config_of(std::move(plugins)));
    return image_tokens(scheduler.value().media_estimate().image, {});
  };
  for (const char* type : {"token-producer", "tokenizer"}) {
    PluginInstance producer{.type = type};
    producer.parameters.set("estimate.image.dynamic.factor", std::int64_t{256});
    EXPECT_EQ(tokens({{.type = "queue-scorer"}, producer}), 900U) << type;
  }
  EXPECT_EQ(tokens({{.type = "queue-scorer"}}), 225U);
}

TEST(KvSourceInScheduler, NamesWhoHoldsMoreThanWhoComputes) {
  Host host{config_of({{.type = "queue-scorer"}, {.type = "p2p-source-producer"}}),
            {{.name = "holder", .waiting = 0}, {.name = "idle", .waiting = 0}}};
  RequestFacts request{.request_id = "r", .model = "m", .prompt_tokens = 256};
  request.prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64};
  host.index.insert("holder", request.prefix);
  host.snapshot.endpoints[0].waiting_requests = {.value = 9U, .at = kNow};
  const Decision decision = host.decide(request);
  EXPECT_EQ(decision.decode->name, "idle");
  ASSERT_NE(decision.kv_source, nullptr);
  EXPECT_EQ(decision.kv_source->name, "holder");
  request.prefix = {};
  EXPECT_EQ(host.decide(request).kv_source, nullptr);
}

TEST(AdmittersInScheduler, RefuseWithAReasonThatTheExplanationHas) {
  Host host{config_of({{.type = "queue-scorer"}, {.type = "probabilistic-admitter"}}),
            {{.name = "a", .waiting = 500, .kv_usage = 1.0F}}};
  RequestFacts request{.model = "m", .priority = -1};
  Explanation why;
  const Decision refused = host.scheduler.decide(
      {.request = request, .snapshot = host.snapshot, .index = host.index, .now = kNow}, host.rng, host.scratch, &why);
  EXPECT_EQ(refused.outcome, Decision::Outcome::kNotAdmitted);
  EXPECT_FALSE(why.refused_by.empty());
  request.priority = 0;
  EXPECT_EQ(host.decide(request).outcome, Decision::Outcome::kDispatch);
}

TEST(HeaderProfileInScheduler, RunsTheProfileThatTheHeaderNames) {
  SchedulingConfig config{
      .plugins = {{.type = "prefill-filter"}, {.type = "decode-filter"}, {.type = "header-profile-handler"}},
      .profiles = {{.name = "prefill", .plugins = {{.plugin = "prefill-filter"}}},
                   {.name = "decode", .plugins = {{.plugin = "decode-filter"}}}}};
  Host host{std::move(config), {{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}}};
  EXPECT_EQ(host.scheduler.headers_read(), std::vector<std::string>{"epp-profile"});
  RequestFacts request{.model = "m"};
  EXPECT_EQ(host.decide(request).decode->name, "d");
  request.headers = {{"epp-profile", " prefill "}};
  EXPECT_EQ(host.decide(request).decode->name, "p");
  request.headers = {{"epp-profile", "nobody"}};
  EXPECT_EQ(host.decide(request).outcome, Decision::Outcome::kNoEndpoint);
}

TEST(EncodeInScheduler, ChoosesWhoEncodesMediaWhenTheDeciderSaysSo) {
  PluginInstance handler{.type = "disagg-profile-handler"};
  handler.parameters.set("deciders.encode", std::string{"always-disagg-multimodal-decider"});
  SchedulingConfig config{.plugins = {{.type = "encode-filter"},
                                      {.type = "decode-filter"},
                                      {.type = "always-disagg-multimodal-decider"},
                                      handler},
                          .profiles = {{.name = "encode", .plugins = {{.plugin = "encode-filter"}}},
                                       {.name = "decode", .plugins = {{.plugin = "decode-filter"}}}}};
  Host host{std::move(config), {{.name = "e", .role = "encode"}, {.name = "d", .role = "decode"}}};
  RequestFacts request{.model = "m"};
  EXPECT_TRUE(host.decide(request).encode.empty());
  request.media = {{.hash = 1}};
  const Decision decision = host.decide(request);
  EXPECT_EQ(decision.decode->name, "d");
  ASSERT_EQ(decision.encode.size(), 1U);
  EXPECT_EQ(decision.encode.front()->name, "e");
}

TEST(LoadTokens, AreTheUncachedPromptAndTheEstimateOfTheAnswer) {
  PluginInstance producer{.type = "inflight-load-producer"};
  producer.parameters.set("addEstimatedOutputTokens", true);
  producer.parameters.set("maxEstimatedOutputTokens", std::int64_t{120});
  Host host{config_of({{.type = "prefix-cache-scorer"}, producer}), {{.name = "a"}}};
  RequestFacts request{.model = "m", .prompt_tokens = 100};
  Decision decision{.cached_tokens_expected = 64};
  EXPECT_EQ(host.scheduler.load_tokens(request, decision).prompt, 36U);
  EXPECT_EQ(host.scheduler.load_tokens(request, decision).output, 120U) << "150, of which the operator allows 120";
  request.output_tokens_max = 20;
  EXPECT_EQ(host.scheduler.load_tokens(request, decision).output, 20U);
}

}  // namespace
}  // namespace llmd::scheduling
