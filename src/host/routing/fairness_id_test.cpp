#include "routing/fairness_id.h"

#include <gtest/gtest.h>

#include <map>

namespace llmd::routing {
namespace {

std::string id(const std::map<std::string, std::string, std::less<>>& headers,
               const std::vector<std::string>& sessions = {}) {
  return fairness_id_of(
      [&](std::string_view name) -> std::optional<std::string_view> {
        const auto found = headers.find(name);
        if (found == headers.end()) return std::nullopt;
        return found->second;
      },
      sessions);
}

TEST(FairnessId, IsWhatTheClientSaysThenTheSessionThenTheDefault) {
  scheduling::SchedulingConfig config;
  EXPECT_TRUE(session_headers(config).empty());
  config.others.push_back({.name = "agents", .type = "agent-identity"});
  config.others[0].parameters.set("additionalSessionHeaders", scheduling::TextList{"X-My-Agent"});
  const auto sessions = session_headers(config);
  EXPECT_EQ(id({}), "default-flow");
  EXPECT_EQ(id({{"session-id", "s"}}), "default-flow") << "the plugin is not configured";
  EXPECT_EQ(id({{"session-id", "s"}}, sessions), "s");
  EXPECT_EQ(id({{"session-id", "s"}, {"x-my-agent", "a"}}, sessions), "a");
  EXPECT_EQ(id({{"x-my-agent", "a"}, {"x-gateway-inference-fairness-id", "old"}}, sessions), "old");
  EXPECT_EQ(id({{"x-llm-d-inference-fairness-id", "new"}, {"x-gateway-inference-fairness-id", "old"}}), "new");
  EXPECT_EQ(id({{"x-llm-d-inference-fairness-id", ""}}), "default-flow");
  EXPECT_EQ(id({{"x-llm-d-inference-fairness-id", std::string(9'000, 'x')}}).size(), 256U);
}

TEST(FairnessId, IsUtf8WhateverTheHeaderHolds) {
  const auto name = [](std::string value) { return id({{"x-llm-d-inference-fairness-id", std::move(value)}}); };
  EXPECT_EQ(name("Zo\xC3\xAB"), "Zo\xC3\xAB");
  EXPECT_EQ(name("a\xFF"
                 "b\xFE\xC0\x80"),
            "a?b???")
      << "the first two part labels in the registry";
  EXPECT_EQ(name(std::string(255, 'x') + "\xC3\xAB"), std::string(255, 'x')) << "cut between characters";
  EXPECT_EQ(name("ends early \xE2\x82"), "ends early ??");
}

TEST(FairnessId, ASessionIsNamedByTheHeadersThatAgentsSend) {
  const auto session = [](std::string_view name) {
    return session_id_of([&](std::string_view asked) -> std::optional<std::string_view> {
      return asked == name ? std::optional<std::string_view>{"s"} : std::nullopt;
    });
  };
  EXPECT_EQ(session("x-session-id"), "s");
  EXPECT_EQ(session("session_id"), "s");
  EXPECT_EQ(session("x-other"), "");
}

}  // namespace
}  // namespace llmd::routing
