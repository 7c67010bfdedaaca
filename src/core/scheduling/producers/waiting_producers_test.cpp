#include <gtest/gtest.h>

#include <string>

#include "scheduling/scheduler.h"
#include "scheduling/testing/made_plugin.h"

namespace llmd::scheduling {
namespace {

using testing::GivenParameters;
using testing::parameters_of;
using testing::refusal;
using namespace std::string_literals;

TEST(PredictedLatencyProducer, TakesWhatLlmdTakes) {
  const std::string type = "predicted-latency-producer";
  EXPECT_EQ(refusal(type, {{"samplingMean", -1.0}, {"contextTTL", std::int64_t{300'000'000'000}}}), "");
  EXPECT_EQ(refusal(type, {{"sloBufferFactor", 0.0}}), type + ": sloBufferFactor is 0; expected more");
  EXPECT_EQ(refusal(type, {{"sloBufferFactor", -1.0}}),
            type + ": sloBufferFactor is -1; expected a number from 0 to 1000000000000000");
}

/// The parameters of llm-d's own examples.
const GivenParameters kPrecise{
    {"tokenProcessorConfig.blockSize", std::int64_t{16}},
    {"tokenProcessorConfig.hashSeed", "42"s},
    {"kvEventsConfig.zmqEndpoint", "tcp://0.0.0.0:5557"s},
    {"kvEventsConfig.topicFilter", "kv@"s},
    {"kvEventsConfig.concurrency", std::int64_t{32}},
    {"kvEventsConfig.discoverPods", true},
    {"kvEventsConfig.podDiscoveryConfig.socketPort", std::int64_t{5'557}},
    {"indexerConfig.kvBlockIndexConfig.enableMetrics", false},
    {"indexerConfig.kvBlockIndexConfig.metricsLoggingInterval", std::int64_t{60'000'000'000}},
    {"indexerConfig.kvCacheBackendConfigs", ObjectList{parameters_of({{"name", "gpu"s}, {"weight", 1.0}}),
                                                       parameters_of({{"name", "cpu"s}, {"weight", 0.8}})}},
    {"speculativeIndexing", true},
    {"speculativeTTL", "2s"s}};

TEST(PrecisePrefixCache, TakesTheParametersOfLlmdsExamples) {
  EXPECT_EQ(refusal("precise-prefix-cache-producer", kPrecise), "");
  EXPECT_EQ(refusal("precise-prefix-cache-scorer", kPrecise), "");
}

TEST(PrecisePrefixCache, TakesTokenizersInTheScorerOnly) {
  EXPECT_EQ(refusal("precise-prefix-cache-producer", {{"indexerConfig.tokenizersPoolConfig", true}}),
            "precise-prefix-cache-producer: indexerConfig.tokenizersPoolConfig is not supported");
  EXPECT_EQ(refusal("precise-prefix-cache-scorer", {{"indexerConfig.tokenizersPoolConfig", true},
                                                    {"indexerConfig.tokenizersPoolConfig.modelName", "m"s}}),
            "");
}

TEST(PrecisePrefixCache, RefusesWhatLlmdRefuses) {
  const std::string type = "precise-prefix-cache-producer";
  EXPECT_EQ(refusal(type, {{"kvEventsConfig.engineType", "trt"s}}),
            type + ": kvEventsConfig.engineType is \"trt\"; expected one of vllm, sglang");
  EXPECT_EQ(refusal(type, {{"tokenProcessorConfig.hashAlgorithm", "sha"s}}),
            type + ": tokenProcessorConfig.hashAlgorithm is \"sha\"; expected one of cbor-fnv, xxh64");
  EXPECT_EQ(refusal(type, {{"speculativeTTL", "2"s}}),
            type + ": speculativeTTL is \"2\"; expected a duration such as 200ms, 5s or 1m30s");
}

TEST(ApplyDefaults, AddsThePrefixProducerBesideOtherProducers) {
  for (const std::string reader : {"prefix-cache-scorer", "prefix-cache-affinity-filter", "prefix-based-pd-decider"}) {
    SchedulingConfig config{.plugins = {{.type = "token-producer"}, {.type = reader}}};
    apply_defaults(config);
    EXPECT_EQ(config.plugins.back().type, "approx-prefix-cache-producer") << reader;
    EXPECT_TRUE(Scheduler::make(config).has_value()) << reader;
  }
}

TEST(ApplyDefaults, UsesAConfiguredDetectorAsAFilter) {
  SchedulingConfig config{.plugins = {{.type = "concurrency-detector"}}};
  apply_defaults(config);
  EXPECT_EQ(config.profiles.front().plugins.front().plugin, "concurrency-detector");
}

TEST(MulticlusterApproxPrefixCacheProducer, CutsPromptsAsItIsTold) {
  const SchedulingConfig config{.plugins = {{.type = "multicluster-prefix-cache-scorer"},
                                            {.type = "multicluster-approx-prefix-cache-producer",
                                             .parameters = parameters_of({{"blockSizeTokens", std::int64_t{128}}})}}};
  const Result<Scheduler> scheduler = Scheduler::make(config);
  ASSERT_TRUE(scheduler.has_value());
  EXPECT_EQ(scheduler->prefix_options().block_tokens, 128U);
}

}  // namespace
}  // namespace llmd::scheduling
