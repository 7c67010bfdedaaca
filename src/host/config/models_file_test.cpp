#include "config/models_file.h"

#include <gtest/gtest.h>

namespace llmd::config {
namespace {

TEST(ModelsFile, ReadsEveryField) {
  const auto models = parse_models_file(
      "models:\n"
      "- name: SmolLM2-135M-Instruct\n"
      "- {name: big, model: weights/big.gguf, workers: 2, threads: 3}\n"
      "- {name: split, model: /m/s.gguf, topology: \"prefill:1,decode:1\"}\n",
      "conf/models.yaml");
  ASSERT_TRUE(models) << models.error().to_string();
  ASSERT_EQ(models->size(), 3U);
  EXPECT_EQ(models->at(0).model, "SmolLM2-135M-Instruct");
  EXPECT_EQ(models->at(0).topology, "unified:1");
  EXPECT_EQ(models->at(0).threads, 0U);
  EXPECT_EQ(models->at(1).model, "conf/weights/big.gguf") << "relative to the file";
  EXPECT_EQ(models->at(1).topology, "unified:2");
  EXPECT_EQ(models->at(1).threads, 3U);
  EXPECT_EQ(models->at(2).model, "/m/s.gguf");
  EXPECT_EQ(models->at(2).topology, "prefill:1,decode:1");
  EXPECT_EQ(models->at(2).line, 4);
}

TEST(ModelsFile, SaysWhereAndWhatIsWrong) {
  const struct {
    const char* name;
    const char* text;
    const char* error;
  } kCases[] = {
      {"empty", "", "m.yaml:1:1: there are no models"},
      {"no name", "models:\n- model: a.gguf\n", "m.yaml:2:3: a model has no name"},
      {"twice", "models: [{name: a}, {name: a}]", "m.yaml:1:21: there are two models \"a\""},
      {"workers", "models: [{name: a, workers: 65}]", "m.yaml:1:29: workers is 65; expected 1 to 64"},
      {"both", "models: [{name: a, workers: 2, topology: \"unified:3\"}]", "m.yaml:1:10: workers and topology"},
      {"unknown", "models: [{name: a, worker: 2}]", "m.yaml:1:20: "},
  };
  for (const auto& each : kCases) {
    const auto models = parse_models_file(each.text, "m.yaml");
    ASSERT_FALSE(models) << each.name;
    EXPECT_EQ(models.error().code, ErrorCode::kConfigInvalid) << each.name;
    EXPECT_TRUE(models.error().what.starts_with(each.error)) << each.name << ": " << models.error().what;
  }
}

}  // namespace
}  // namespace llmd::config
