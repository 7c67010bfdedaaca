#include "api/openai/upstream_error.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace llmd::openai {
namespace {

using Json = nlohmann::json;

TEST(UpstreamError, LeavesTheShapeOfOpenAiAsItIs) {
  for (const char* body :
       {R"({"error":{"message":"m","type":"t","param":null,"code":"c"}})", R"({"error":{"message":"x"}})",
        R"({"error":{"code":400,"message":"llama-server's","type":"invalid_request_error"}})"}) {
    EXPECT_FALSE(shape_upstream_error(400, body)) << body;
  }
}

TEST(UpstreamError, ShapesWhatOtherServersSay) {
  struct Case {
    const char* name;
    int status;
    std::string body;
    const char* message;
    const char* type;
    const char* code;
  };
  const std::string page = "<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>";
  const Case cases[] = {
      {"older vLLM", 400, R"({"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400})",
       "too long", "invalid_request_error", "invalid_request"},
      {"FastAPI", 404, R"({"detail":"Not Found"})", "Not Found", "invalid_request_error", "not_found"},
      {"FastAPI's list", 422,
       R"({"detail":[{"loc":["body","messages",0],"msg":"Field required","type":"missing"},{"msg":"x"}]})",
       "messages: Field required", "invalid_request_error", "invalid_request"},
      {"TGI", 429, R"({"error":"Model is overloaded","error_type":"overloaded"})", "Model is overloaded",
       "rate_limit_error", "overloaded"},
      {"a page", 502, page, "the endpoint answered 502 and did not say why", "server_error", "upstream_failed"},
      {"nothing", 500, "", "the endpoint answered 500 and did not say why", "server_error", "upstream_failed"},
      {"plain text", 503, "  no healthy\nupstream\n", "no healthy upstream", "server_error", "upstream_failed"},
      {"long text", 503, std::string(400, 'x'), "the endpoint answered 503 and did not say why", "server_error",
       "upstream_failed"},
      {"cut JSON", 500, R"({"message":"a)", "the endpoint answered 500 and did not say why", "server_error",
       "upstream_failed"},
      {"other JSON", 500, R"({"error":7})", "the endpoint answered 500 and did not say why", "server_error",
       "upstream_failed"},
      {"a list", 400, "[]", "the endpoint answered 400 and did not say why", "invalid_request_error",
       "invalid_request"},
      {"a gateway's timeout", 504, "", "the endpoint answered 504 and did not say why", "server_error",
       "upstream_timeout"},
  };
  for (const Case& item : cases) {
    const auto shaped = shape_upstream_error(item.status, item.body);
    ASSERT_TRUE(shaped) << item.name;
    const Json error = Json::parse(*shaped, nullptr, false)["error"];
    const Json expected{{"message", item.message}, {"type", item.type}, {"param", nullptr}, {"code", item.code}};
    EXPECT_EQ(error, expected) << item.name;
  }
}

TEST(UpstreamError, AnswersInTheShapeWhateverTheBytes) {
  for (const std::string& body :
       {std::string{"\xff\xfe\x00z", 4}, std::string{R"({"message":")"} + std::string(9'000, 'm') + "\"}",
        std::string(100, '['), std::string{R"({"message":"a\u0000b","param":"p"})"}}) {
    const auto shaped = shape_upstream_error(500, body);
    ASSERT_TRUE(shaped);
    EXPECT_TRUE(Json::accept(*shaped)) << *shaped;
    EXPECT_LT(shaped->size(), 2'000U);
  }
}

TEST(UpstreamError, TellsWhichFieldAnErrorNames) {
  EXPECT_EQ(upstream_error_param(R"({"error":{"message":"m","param":"top_p"}})"), "top_p");
  for (const char* body : {R"({"error":{"message":"m","param":null}})", R"({"error":"x"})", "<html>", ""}) {
    EXPECT_EQ(upstream_error_param(body), "") << body;
  }
}

}  // namespace
}  // namespace llmd::openai
