#include "api/openai/json_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/rng.h"

namespace llmd::openai {
namespace {

std::string json_string_of(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonString, EscapesWhatJsonMustEscape) {
  EXPECT_EQ(json_string_of(""), "\"\"");
  EXPECT_EQ(json_string_of("plain / text"), "\"plain / text\"");
  EXPECT_EQ(json_string_of("a\"b\\c\n\r\t\x01\x1f"), R"("a\"b\\c\n\r\t\u0001\u001f")");
  EXPECT_EQ(json_string_of(std::string_view{"\0", 1}), R"("\u0000")");
  EXPECT_EQ(json_string_of("\x7f"), "\"\x7f\"");
}

TEST(JsonString, KeepsUtf8AndReplacesEachByteThatIsNot) {
  EXPECT_EQ(json_string_of("é€😀"), "\"é€😀\"");
  EXPECT_EQ(json_string_of("\xff"), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(json_string_of("\xc0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"") << "overlong";
  EXPECT_EQ(json_string_of("\xe2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"") << "cut";
  EXPECT_EQ(json_string_of("a\xed\xa0\x80z").substr(0, 2), "\"a") << "surrogate";
  EXPECT_EQ(json_string_of("\xf4\x90\x80\x80").find('\x90'), std::string::npos) << "above U+10FFFF";
}

TEST(JsonString, IsValidJsonForAnyBytes) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng{seed};
    std::string text(rng.below(64), '\0');
    for (char& byte : text) byte = static_cast<char>(rng.chance(0.5) ? rng.below(256) : 0x80 + rng.below(0x80));
    const auto parsed = nlohmann::json::parse(json_string_of(text), nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(parsed.is_discarded());
    const auto strict = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
    const bool was_valid = nlohmann::json::parse(strict).get<std::string>() == text;
    EXPECT_TRUE(!was_valid || parsed.get<std::string>() == text);
  }
}

TEST(JsonNumber, ReadsBackAsTheSameFloat) {
  for (const float value : {0.0F, -0.25F, 1e-30F, 3.4e38F, -1.2345678F, 16777216.0F}) {
    std::string out;
    append_json_number(out, value);
    EXPECT_EQ(std::stof(out), value) << out;
  }
}

TEST(JsonNumber, NeverWritesWhatJsonCannotSay) {
  for (const float value : {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::string out;
    append_json_number(out, value);
    EXPECT_EQ(out, "-9999");
  }
}

TEST(JsonWriter, PutsCommasBetweenMembersAndElementsOnly) {
  std::string out;
  JsonWriter json{out};
  json.begin_object().key("a").begin_array().integer(1).begin_object().end_object().null().end_array();
  json.key("b").begin_object().key("c").boolean(true).end_object().escaped_key("d\"").string("e").end_object();
  EXPECT_EQ(out, R"({"a":[1,{},null],"b":{"c":true},"d\"":"e"})");
}

}  // namespace
}  // namespace llmd::openai
