#include "api/ollama/running_models.h"

#include <gtest/gtest.h>

namespace llmd::ollama {
namespace {

TEST(RunningModels, ReadsWhatOllamaSays) {
  // As Ollama 0.11 answers, from its API's documentation.
  const auto models = read_running_models(
      R"({"models":[{"name":"mistral:latest","model":"mistral:latest","size":5137025024,"digest":"2ae6",)"
      R"("details":{"family":"llama"},"size_vram":5137025000,"context_length":4096},)"
      R"({"name":"old","size":-1}]})");
  ASSERT_TRUE(models) << models.error().what;
  ASSERT_EQ(models->size(), 2U);
  EXPECT_EQ(models->front().name, "mistral:latest");
  EXPECT_EQ(models->front().bytes, 5'137'025'024U);
  EXPECT_EQ(models->front().gpu_bytes, 5'137'025'000U);
  EXPECT_EQ(models->front().context_tokens, 4'096U);
  EXPECT_EQ(models->back().bytes, 0U);
}

TEST(RunningModels, NoneAreRunning) {
  for (const std::string_view json : {R"({"models":[]})", R"({"models":null})"}) {
    const auto models = read_running_models(json);
    ASSERT_TRUE(models) << json << models.error().what;
    EXPECT_TRUE(models->empty()) << json;
  }
}

TEST(RunningModels, RefusesWhatIsNoListOfModels) {
  EXPECT_EQ(read_running_models("nothing").error().code, ErrorCode::kInvalidJson);
  for (const std::string_view json :
       {R"({})", R"({"models":1})", R"({"models":[1]})", R"({"models":[{"size":1}]})", R"({"models":[{"name":""}]})"}) {
    const auto models = read_running_models(json);
    ASSERT_FALSE(models) << json;
    EXPECT_EQ(models.error().code, ErrorCode::kProtocol) << json;
  }
}

TEST(RunningModels, KeepsAFewOfVeryMany) {
  std::string json = R"({"models":[)";
  for (int i = 0; i < 1'000; ++i) json += i == 0 ? R"({"name":"m"})" : R"(,{"name":"m"})";
  const auto models = read_running_models(json + "]}");
  ASSERT_TRUE(models);
  EXPECT_EQ(models->size(), kRunningModelsMax);
}

}  // namespace
}  // namespace llmd::ollama
