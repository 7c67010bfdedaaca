#include "apps/worker/routes.h"

#include <gtest/gtest.h>

namespace llmd::worker {
namespace {

TEST(Routes, FindMethodAndPathAndTellWhatIsAllowed) {
  struct Row {
    const char* method;
    const char* path;
    bool found;
    const char* allowed;
    const char* tail;
  };
  const Row table[] = {
      {"POST", "/v1/chat/completions", true, "POST", ""},
      {"GET", "/v1/chat/completions", false, "POST", ""},
      {"GET", "/v1/models", true, "GET", ""},
      {"GET", "/v1/models/a%2Fb", true, "GET", "a%2Fb"},
      {"GET", "/v1/models/", false, "", ""},
      {"HEAD", "/health", true, "GET", ""},
      {"GET", "/v1/nothing", false, "", ""},
      {"GET", "", false, "", ""},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.path);
    const RouteMatch match = find_route(row.method, row.path);
    EXPECT_EQ(match.route != nullptr, row.found);
    EXPECT_EQ(match.allowed, row.allowed);
    EXPECT_EQ(match.tail, row.tail);
  }
}

TEST(Routes, OfASimulationNeedAKeyAndASimulatedEngine) {
  const RouteMatch match = find_route("POST", "/sim/speed");
  ASSERT_NE(match.route, nullptr);
  EXPECT_TRUE(match.route->of_simulation);
  EXPECT_FALSE(match.route->open);
}

TEST(Routes, NeedNoKeyOnlyWhereAProbeOrAScraperCalls) {
  for (const char* path : {"/health", "/ready", "/metrics"}) EXPECT_TRUE(find_route("GET", path).route->open) << path;
  EXPECT_FALSE(find_route("GET", "/v1/models").route->open);
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/messages/count_tokens",
                           "/v1/responses", "/v1/embeddings", "/tokenize", "/detokenize"}) {
    const RouteMatch match = find_route("POST", path);
    ASSERT_NE(match.route, nullptr) << path;
    EXPECT_FALSE(match.route->open) << path;
    EXPECT_TRUE(match.route->needs_model) << path;
  }
}

}  // namespace
}  // namespace llmd::worker
