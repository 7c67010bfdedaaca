#include "api/openai/model_list_reader.h"

#include <gtest/gtest.h>

namespace llmd::openai {
namespace {

TEST(ModelListReader, ReadsWhatOurWriterWrites) {
  const std::vector<ModelCard> cards{{.id = "a \"b\"", .created = 7, .context_tokens = 2048}, {.id = "c"}};
  std::string json;
  append_model_list(json, cards);
  const auto read = read_model_list(json);
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].id, "a \"b\"");
  EXPECT_EQ((*read)[0].created, 7);
  EXPECT_EQ((*read)[0].context_tokens, 2048U);
  EXPECT_EQ((*read)[1].id, "c");
}

TEST(ModelListReader, RefusesAnswersThatAreNoModelList) {
  struct Case {
    const char* name;
    const char* json;
    ErrorCode code;
  };
  const Case cases[] = {
      {"html", "<html>", ErrorCode::kInvalidJson},
      {"no data", "{}", ErrorCode::kProtocol},
      {"data is text", R"({"data":"x"})", ErrorCode::kProtocol},
      {"model without id", R"({"data":[{"object":"model"}]})", ErrorCode::kProtocol},
      {"id is a number", R"({"data":[{"id":7}]})", ErrorCode::kProtocol},
  };
  for (const Case& item : cases) {
    const auto read = read_model_list(item.json);
    ASSERT_FALSE(read) << item.name;
    EXPECT_EQ(read.error().code, item.code) << item.name;
  }
}

}  // namespace
}  // namespace llmd::openai
