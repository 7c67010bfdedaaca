#include "api/openai/media_parts.h"

#include <gtest/gtest.h>

namespace llmd::openai {
namespace {

TEST(MediaParts, AreFoundInOrderAndOnceAUrl) {
  std::string body = R"({"messages":[{"role":"system","content":"be brief"},7,{"role":"user","content":[
    {"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"http://a/1.png","detail":9007199254740993}},
    {"type":"input_audio","input_audio":{"data":"AA=="}},{"type":"input_audio","input_audio":{"data":"AA=="}}]},
    {"role":"user","content":[{"type":"image_url","image_url":{"url":"http://a\/1.png"}},
    {"type":"video_url","video_url":{"url":"http://a/2.mp4"}},{"type":7},"text"]}]})";
  const auto parts = media_parts(body, 8);
  ASSERT_TRUE(parts) << parts.error().to_string();
  ASSERT_EQ(parts->size(), 4U);
  EXPECT_EQ((*parts)[0].raw, R"({"type":"image_url","image_url":{"url":"http://a/1.png","detail":9007199254740993}})");
  EXPECT_EQ((*parts)[0].url, "http://a/1.png");
  EXPECT_EQ((*parts)[1].url, "");
  EXPECT_EQ((*parts)[3].url, "http://a/2.mp4");
}

TEST(MediaParts, AreNoneInPlainTexts) {
  for (std::string body : {R"({"messages":[{"content":"hi"}]})", R"({"prompt":"hi"})", R"({"messages":{"a":1}})"}) {
    const auto parts = media_parts(body, 8);
    ASSERT_TRUE(parts) << body;
    EXPECT_TRUE(parts->empty()) << body;
  }
}

TEST(MediaParts, RefuseWhatIsBrokenAndTooMany) {
  std::string open = R"({"messages":[{"content":[{"type")";
  EXPECT_EQ(media_parts(open, 8).error().code, ErrorCode::kInvalidJson);
  std::string two = R"({"messages":[{"content":[{"type":"input_audio"},{"type":"input_audio"}]}]})";
  EXPECT_EQ(media_parts(two, 1).error().code, ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace llmd::openai
