#include "llamacpp/model_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace llmd::llamacpp {
namespace {

TEST(ModelFile, NamesAModelWithoutCacheDigitsAndQuantisation) {
  EXPECT_EQ(model_name("/c/bcc81830d10c-SmolLM2-135M-Instruct.Q4_1.gguf"), "SmolLM2-135M-Instruct");
  EXPECT_EQ(model_name("Qwen3-0.6B-Q8_0.gguf"), "Qwen3-0.6B");
  EXPECT_EQ(model_name("a/llama.gguf"), "llama");
  EXPECT_EQ(model_name("m-IQ2_XS.gguf"), "m");
  EXPECT_EQ(model_name("m-F16.gguf"), "m");
}

class ModelFolder : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/llmd-models-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string put(const std::string& name) {
    std::string path = folder_ + "/" + name;
    std::ofstream{path} << "x";
    return path;
  }
  std::string folder_;
};

TEST_F(ModelFolder, FindsAFileOrANameOrTheDefault) {
  const std::string path = put("bcc81830d10c-SmolLM2-135M-Instruct.Q4_1.gguf");
  const std::string other = put("tiny-Q8_0.gguf");
  EXPECT_EQ(find_model("", folder_)->path, path);
  EXPECT_EQ(find_model("tiny", folder_)->path, other);
  EXPECT_EQ(find_model("tiny-Q8_0", folder_)->path, other);
  EXPECT_EQ(find_model(other, "/nonexistent")->path, other);
}

TEST_F(ModelFolder, SaysWhatToRunIfThereIsNone) {
  const auto missing = find_model("", folder_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kFileNotFound);
  EXPECT_NE(missing.error().hint.find("tools/fetch_model.sh"), std::string::npos);
  const auto file = find_model("/no/such.gguf", folder_);
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().what.find("/no/such.gguf"), std::string::npos);
}

}  // namespace
}  // namespace llmd::llamacpp
