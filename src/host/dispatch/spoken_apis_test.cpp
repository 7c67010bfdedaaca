#include "dispatch/spoken_apis.h"

#include <gtest/gtest.h>

namespace llmd::dispatch {
namespace {

using api::Dialect;

Endpoint endpoint(std::string name, const char* label = nullptr) {
  Endpoint made{.name = std::move(name), .url = {}, .models = {{.id = "m"}}, .labels = {}};
  if (label != nullptr) made.labels[std::string{kNativeApisLabel}] = label;
  return made;
}

TEST(SpokenApis, TheLabelDecidesElseTheEngine) {
  struct Row {
    const char* engine;
    const char* label;
    bool messages;
    bool responses;
  };
  const Row table[] = {
      {"vllm", nullptr, true, true},          {"sglang", nullptr, true, true},
      {"llama-server", nullptr, true, true},  {"trtllm-serve", nullptr, false, true},
      {"tgi", nullptr, false, false},         {"", nullptr, false, false},
      {"vllm", "none", false, false},         {"vllm", "", false, false},
      {"tgi", "messages", true, false},       {"", "messages , responses", true, true},
      {"", "responses,unknown", false, true}, {"", "message", false, false},
  };
  const SpokenApis apis;
  for (const Row& row : table) {
    SCOPED_TRACE(std::string{row.engine} + "/" + (row.label == nullptr ? "no label" : row.label));
    const Endpoint one = endpoint("e", row.label);
    EXPECT_EQ(apis.speaks(one, row.engine, Dialect::kMessages), row.messages);
    EXPECT_EQ(apis.speaks(one, row.engine, Dialect::kCountTokens), row.messages);
    EXPECT_EQ(apis.speaks(one, row.engine, Dialect::kResponses), row.responses);
    EXPECT_TRUE(apis.speaks(one, row.engine, Dialect::kOpenAi));
  }
}

TEST(SpokenApis, OurWorkersAreKnownByTheModelsThatTheyList) {
  Endpoint worker = endpoint("w");
  worker.models.front().block_fingerprint.emplace();
  EXPECT_TRUE(SpokenApis{}.speaks(worker, "", Dialect::kMessages));
}

TEST(SpokenApis, WhatAnEndpointLacksIsRememberedOfItAndOfThatPathAlone) {
  SpokenApis apis;
  const Endpoint old = endpoint("old");
  apis.lacks(old, Dialect::kCountTokens);
  EXPECT_FALSE(apis.speaks(old, "vllm", Dialect::kCountTokens));
  EXPECT_TRUE(apis.speaks(old, "vllm", Dialect::kMessages));
  EXPECT_TRUE(apis.speaks(endpoint("new"), "vllm", Dialect::kCountTokens));
  EXPECT_TRUE(apis.speaks(endpoint("old", "messages"), "vllm", Dialect::kCountTokens)) << "the operator knows better";
}

TEST(SpokenApis, WhatItRemembersIsBounded) {
  SpokenApis apis;
  const Endpoint first = endpoint("0");
  for (int i = 0; i <= 8'192; ++i) apis.lacks(endpoint(std::to_string(i)), Dialect::kMessages);
  EXPECT_TRUE(apis.speaks(first, "vllm", Dialect::kMessages));
}

}  // namespace
}  // namespace llmd::dispatch
