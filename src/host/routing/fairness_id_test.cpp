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

}  // namespace
}  // namespace llmd::routing
