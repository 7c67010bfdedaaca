#include "api/openai/body_edits.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace llmd::openai {
namespace {

TEST(BodyEdits, SetAddAndRemoveFieldsAndKeepTheRestByteForByte) {
  using enum pd::FieldEdit::When;
  struct Case {
    const char* name;
    std::string body;
    pd::FieldEdits edits;
    const char* expected;
  };
  Case cases[] = {
      {"set where it stands", R"({"a" : 1, "b":[1, 2]})", {{"a", "2"}}, R"({"a" : 2, "b":[1, 2]})"},
      {"add", R"({"b":"x y"})", {{"a", "null"}}, R"({"b":"x y","a":null})"},
      {"spaces stay",
       "{ \"a\": 1,\n \"b\": 2 ,\"c\":3 }\n",
       {{"b", ""}, {"d", "4"}},
       "{ \"a\": 1 ,\"c\":3,\"d\":4 }\n"},
      {"remove the first", R"({"a":1, "b":2})", {{"a", ""}}, R"({"b":2})"},
      {"remove all", R"({ "a":1 })", {{"a", ""}}, R"({  })"},
      {"remove", R"({"a":{"b":1},"c":true})", {{"a", ""}}, R"({"c":true})"},
      {"remove what is not there", R"({"c":1.50})", {{"a", ""}}, R"({"c":1.50})"},
      {"empty", "{}", {{"a", "1"}}, R"({"a":1})"},
      {"escaped key", R"({"\u0061":1})", {{"a", "2"}}, R"({"\u0061":2})"},
      {"every duplicate goes", R"({"a":1,"b":2,"a":3})", {{"a", ""}}, R"({"b":2})"},
      {"the first duplicate stays", R"({"a":1,"b":2,"a":3})", {{"a", "4"}}, R"({"a":4,"b":2})"},
      {"if present", R"({"a":1})", {{"a", "2", kIfPresent}, {"b", "2", kIfPresent}}, R"({"a":2})"},
      {"if absent", R"({"a":1})", {{"a", "2", kIfAbsent}, {"b", "2", kIfAbsent}}, R"({"a":1,"b":2})"},
      {"large integers", R"({"seed":9007199254740993,"a":1})", {{"a", "2"}}, R"({"seed":9007199254740993,"a":2})"},
      {"inside", R"({"s":{"m":1,"n":2},"t":3})", {{"s.m", "9"}}, R"({"s":{"m":9,"n":2},"t":3})"},
      {"into a new object", R"({"t":3})", {{"s.m", "9"}, {"s.n", "8"}}, R"({"t":3,"s":{"m":9,"n":8}})"},
      {"remove inside what is not there", R"({"t":3})", {{"s.m", ""}}, R"({"t":3})"},
  };
  for (Case& item : cases) {
    const auto edited = apply_edits(item.body, item.edits);
    ASSERT_TRUE(edited) << item.name << ": " << edited.error().to_string();
    EXPECT_EQ(*edited, item.expected) << item.name;
    EXPECT_FALSE(nlohmann::json::parse(*edited, nullptr, false).is_discarded()) << item.name;
  }
}

TEST(BodyEdits, ReadOneMemberAsItStands) {
  std::string json = R"({"x":1,"kv_transfer_params":{"remote_block_ids": [[1,2]], "big":12345678901234567890}})";
  const auto member = raw_member(json, "kv_transfer_params");
  ASSERT_TRUE(member);
  EXPECT_EQ(member->value(), R"({"remote_block_ids": [[1,2]], "big":12345678901234567890})");
  EXPECT_FALSE(raw_member(json, "y").value());
}

TEST(BodyEdits, RefuseWhatIsNoObject) {
  std::string list = "[1]";
  EXPECT_EQ(apply_edits(list, {}).error().code, ErrorCode::kInvalidRequest);
  std::string wide(1, '{');
  for (std::size_t i = 0; i < kMembersMax; ++i) wide += R"("a":1,)";
  std::string full = wide;
  full.back() = '}';
  EXPECT_TRUE(raw_members(full));
  wide += R"("b":1})";
  EXPECT_EQ(apply_edits(wide, {}).error().code, ErrorCode::kInvalidRequest);
  std::string open = R"({"a":1)";
  EXPECT_EQ(raw_member(open, "a").error().code, ErrorCode::kInvalidJson);
  std::string scalar = R"({"s":1})";
  const pd::FieldEdits inside{{"s.m", "1"}};
  EXPECT_EQ(apply_edits(scalar, inside).error().code, ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace llmd::openai
