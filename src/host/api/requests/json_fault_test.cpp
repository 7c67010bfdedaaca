#include "api/requests/json_fault.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::api {
namespace {

/// The texts are what Go 1.26's json.Unmarshal says.
TEST(JsonFault, SpeaksAsGoDoes) {
  using namespace std::string_literals;
  const std::pair<std::string, std::string_view> cases[] = {
      {"no healthy upstream", "invalid character 'o' in literal null (expecting 'u')"},
      {"", "unexpected end of JSON input"},
      {"{\"a\":", "unexpected end of JSON input"},
      {"{\"a\"", "unexpected end of JSON input"},
      {"{", "unexpected end of JSON input"},
      {"\"abc", "unexpected end of JSON input"},
      {"hello", "invalid character 'h' looking for beginning of value"},
      {"[1,]", "invalid character ']' looking for beginning of value"},
      {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
      {"{'a':1}", R"(invalid character '\'' looking for beginning of object key string)"},
      {"{\"a\" 1}", "invalid character '1' after object key"},
      {"{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"},
      {"[1 2]", "invalid character '2' after array element"},
      {"{} x", "invalid character 'x' after top-level value"},
      {"\"a\nb\"", R"(invalid character '\n' in string literal)"},
      {"\"\x1f\"", R"(invalid character '\x1f' in string literal)"},
      {R"("\q")", "invalid character 'q' in string escape code"},
      {R"("\u12g4")", R"(invalid character 'g' in \u hexadecimal character escape)"},
      {"-x", "invalid character 'x' in numeric literal"},
      {"01", "invalid character '1' after top-level value"},
      {"1.x", "invalid character 'x' after decimal point in numeric literal"},
      {"1e", "invalid character ' ' in exponent of numeric literal"},
      {"tru", "invalid character ' ' in literal true (expecting 'e')"},
      {"\\", R"(invalid character '\\' looking for beginning of value)"},
      {"\xe9", "invalid character '\u00e9' looking for beginning of value"},
      {"\x85", R"(invalid character '\u0085' looking for beginning of value)"},
      {"\0"s, R"(invalid character '\x00' looking for beginning of value)"},
      {std::string(10'001, '['), "invalid character '[' exceeded max depth"},
  };
  for (const auto& [text, fault] : cases) EXPECT_EQ(json_fault(text), fault) << text.substr(0, 100);
}

TEST(JsonFault, IsEmptyForJson) {
  for (const char* text : {"{}", " [ ] ", "null", R"({"a":[1,-0.5e+7,true,false,null,"\u00e9\/\n",{}],"b":{"c":[[]]}})",
                           "0", "\"\xff\"", "-1E5"}) {
    EXPECT_EQ(json_fault(text), "") << text;
  }
}

}  // namespace
}  // namespace llmd::api
