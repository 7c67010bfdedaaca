#include "api/conversion/dialect.h"

#include <gtest/gtest.h>

namespace llmd::api {
namespace {

TEST(Dialect, IsKnownByThePath) {
  EXPECT_EQ(dialect_of("/v1/messages"), Dialect::kMessages);
  EXPECT_EQ(dialect_of("/v1/messages?beta=true"), Dialect::kMessages);
  EXPECT_EQ(dialect_of("/v1/messages/count_tokens"), Dialect::kCountTokens);
  EXPECT_EQ(dialect_of("/v1/responses"), Dialect::kResponses);
  for (const char* path : {"/v1/chat/completions", "/v1/responses/resp_1", "/v1/messages/batches", ""})
    EXPECT_EQ(dialect_of(path), Dialect::kOpenAi) << path;
}

TEST(Dialect, ErrorsOfOursHaveItsShape) {
  const Error error{.code = ErrorCode::kOverloaded, .what = "full", .hint = "wait", .param = "p"};
  const auto message = render_error(Dialect::kCountTokens, error);
  EXPECT_EQ(message.status, 429);
  EXPECT_EQ(message.json, R"x({"type":"error","error":{"type":"rate_limit_error","message":"full (wait)",)x"
                          R"x("param":"p","code":"overloaded"}})x");
  EXPECT_EQ(message.retry_after_s, 1U);
  EXPECT_EQ(render_error(Dialect::kResponses, error).json, openai::render_error(error).json);
}

TEST(Dialect, ErrorsOfEndpointsGetItsShape) {
  struct Row {
    Dialect dialect;
    int status;
    const char* body;
    const char* shaped;  // null: it has the shape
  };
  const Row table[] = {
      {Dialect::kMessages, 404, R"({"error":{"message":"m","type":"x","param":null,"code":404}})",
       R"({"type":"error","error":{"type":"not_found_error","message":"m","param":null,"code":404}})"},
      {Dialect::kMessages, 400, R"({"type":"error","error":{"type":"t","message":"m"}})", nullptr},
      {Dialect::kMessages, 500, "oops",
       R"({"type":"error","error":{"type":"api_error","message":"oops","param":null,"code":"upstream_failed"}})"},
      {Dialect::kResponses, 404, R"({"error":{"message":"m"}})", nullptr},
      {Dialect::kResponses, 504, R"({"detail":"late"})",
       R"({"error":{"message":"late","type":"server_error","param":null,"code":"upstream_timeout"}})"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.body);
    const auto shaped = shape_upstream_error(row.dialect, row.status, row.body);
    EXPECT_EQ(shaped.has_value(), row.shaped != nullptr);
    if (row.shaped != nullptr) {
      EXPECT_EQ(shaped.value_or(""), row.shaped);
    }
  }
}

TEST(Dialect, StreamsEndInAnEventThatItsClientsRaise) {
  const Error error{.code = ErrorCode::kUpstreamFailed, .what = "cut"};
  struct Row {
    Dialect dialect;
    const char* event;
  };
  const Row table[] = {
      {Dialect::kOpenAi,
       "data: "
       "{\"error\":{\"message\":\"cut\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_failed\"}}\n\n"},
      {Dialect::kMessages,
       "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"cut\","
       "\"param\":null,\"code\":\"upstream_failed\"}}\n\n"},
      {Dialect::kResponses,
       "event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_failed\",\"message\":\"upstream_failed: cut\","
       "\"param\":null}\n\n"},
  };
  for (const Row& row : table) {
    std::string out;
    append_stream_error(out, row.dialect, error);
    EXPECT_EQ(out, row.event);
  }
}

}  // namespace
}  // namespace llmd::api
