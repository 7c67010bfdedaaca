#include "llamacpp/model.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "llamacpp/test_model.h"

namespace llmd::llamacpp {
namespace {

class GgufOnDisk : public testing::Test {
 protected:
  GgufOnDisk()
      : path_{std::filesystem::temp_directory_path() / ("llmd_model_test_" + std::to_string(::getpid()) + ".gguf")} {}
  ~GgufOnDisk() override { std::filesystem::remove(path_); }

  /// The first `bytes` bytes of the test model.
  void write_prefix(std::size_t bytes) {
    std::ifstream from{test_model_path(), std::ios::binary};
    std::string text(bytes, '\0');
    from.read(text.data(), static_cast<std::streamsize>(bytes));
    std::ofstream{path_, std::ios::binary}.write(text.data(), static_cast<std::streamsize>(bytes));
  }
  Error load_error() {
    auto loaded = Model::load({.path = path_.string()});
    return loaded ? Error{} : loaded.error();
  }
  std::filesystem::path path_;
};

TEST_F(GgufOnDisk, ThatIsMissingIsNamed) {
  const Error error = load_error();
  EXPECT_EQ(error.code, ErrorCode::kFileNotFound);
  EXPECT_EQ(error.what, "model file " + path_.string() + " does not exist");
}

TEST_F(GgufOnDisk, ThatIsNoGgufShowsItsFirstBytes) {
  std::ofstream{path_} << "PK\x03\x04 a zip archive";
  const Error error = load_error();
  EXPECT_EQ(error.code, ErrorCode::kFileInvalid);
  EXPECT_EQ(error.what,
            "model file " + path_.string() + " is not a GGUF: it begins with bytes 50 4b 03 04, not \"GGUF\"");
}

TEST_F(GgufOnDisk, ThatIsCutInTheWeightsSaysAtWhichByte) {
  write_prefix(50'000'000);
  const Error error = load_error();
  EXPECT_EQ(error.code, ErrorCode::kFileInvalid);
  EXPECT_NE(error.what.find("is cut short at byte 50000000 of "), std::string::npos) << error.what;
}

TEST_F(GgufOnDisk, ThatHasAnImpossibleNumberOfLayersIsRefused) {
  constexpr std::string_view kKey = "llama.block_count";
  std::string header(2'000'000, '\0');
  std::ifstream{test_model_path(), std::ios::binary}.read(header.data(), static_cast<std::streamsize>(header.size()));
  const std::size_t value = header.find(kKey) + kKey.size() + 4;  // behind the type
  for (const std::uint32_t layers : {0U, 513U, 0x7fffffffU, 0xffffffffU}) {
    std::memcpy(header.data() + value, &layers, sizeof(layers));
    std::ofstream{path_, std::ios::binary} << header;
    const Error error = load_error();
    EXPECT_EQ(error.code, ErrorCode::kFileInvalid);
    EXPECT_NE(error.what.find("it has " + std::to_string(layers) + " layers"), std::string::npos) << error.what;
  }
}

TEST_F(GgufOnDisk, ThatIsCutAnywhereInTheHeaderIsRefused) {
  for (const std::size_t bytes : {0, 3, 4, 8, 23, 24, 100, 5'000, 100'000, 1'000'000}) {
    write_prefix(bytes);
    EXPECT_EQ(load_error().code, ErrorCode::kFileInvalid) << bytes << " bytes";
  }
}

TEST(Model, VocabOnlyHasTheSameFingerprintAsTheWholeModel) {
  auto vocab_only = Model::load({.path = test_model_path(), .vocab_only = true});
  ASSERT_TRUE(vocab_only) << vocab_only.error().to_string();
  EXPECT_EQ((*vocab_only)->info().fingerprint, test_model()->info().fingerprint);
  EXPECT_GT(test_model()->info().context_tokens, 0U);
}

}  // namespace
}  // namespace llmd::llamacpp
