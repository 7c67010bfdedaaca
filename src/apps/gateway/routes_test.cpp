#include "apps/gateway/routes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "apps/gateway/openapi.h"

namespace llmd::gateway {
namespace {

TEST(Routes, FindsPathsAndSaysWhichMethodsTheyTake) {
  const RouteMatch chat = find_route("POST", "/v1/chat/completions");
  ASSERT_NE(chat.route, nullptr);
  EXPECT_TRUE(chat.method_allowed);
  EXPECT_EQ(chat.route->kind, RouteKind::kInference);
  const RouteMatch wrong = find_route("GET", "/v1/chat/completions");
  ASSERT_NE(wrong.route, nullptr);
  EXPECT_FALSE(wrong.method_allowed);
  EXPECT_EQ(wrong.route->methods, "POST");
  EXPECT_EQ(find_route("GET", "/v1/models/org/name").tail, "org/name");
  EXPECT_TRUE(find_route("HEAD", "/health").method_allowed);
  for (const char* path : {"/", "", "/v1/chat/completions/", "/v1/models/", "/V1/models", "/metrics2"}) {
    EXPECT_EQ(find_route("GET", path).route, nullptr) << path;
  }
}

TEST(Routes, OnlyHealthReadinessAndMetricsNeedNoKey) {
  for (const char* path : {"/health", "/ready", "/metrics"}) EXPECT_TRUE(find_route("GET", path).route->open) << path;
  for (const char* path : {"/v1/models", "/openapi.json", "/v1/models/x", "/tokenize", "/v1/embeddings"}) {
    EXPECT_FALSE(find_route("GET", path).route->open) << path;
  }
}

TEST(OpenApi, NamesEachPathAndEveryPathIsThere) {
  const std::string_view document = openapi_json();
  for (const char* path :
       {"/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/responses",
        "/v1/embeddings", "/tokenize", "/detokenize", "/v1/models", "/openapi.json", "/health", "/ready", "/metrics"}) {
    EXPECT_NE(document.find(fmt::format("\"{}\": {{", path)), std::string_view::npos) << path;
    EXPECT_NE(find_route("GET", path).route, nullptr) << path;
  }
  EXPECT_NE(document.find("\"/v1/models/{model}\": {"), std::string_view::npos);
}

}  // namespace
}  // namespace llmd::gateway
