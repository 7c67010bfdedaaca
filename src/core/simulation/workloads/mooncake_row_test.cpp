#include "simulation/workloads/mooncake_row.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::simulation {
namespace {

TEST(MooncakeRow, ReadsALineOfTheTrace) {
  // The README of FAST25-release shows this request.
  const auto row = parse_mooncake_row(
      R"({"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46, 47, 2366]})");
  ASSERT_TRUE(row) << row.error().to_string();
  EXPECT_EQ(
      *row,
      (MooncakeRow{.timestamp_ms = 30'535, .input_tokens = 6'472, .output_tokens = 26, .hash_ids = {46, 47, 2'366}}));
}

TEST(MooncakeRow, TakesWhatIsTheSameInJson) {
  const MooncakeRow expected{.timestamp_ms = 0, .input_tokens = 1, .output_tokens = 2, .hash_ids = {}};
  for (const std::string_view line : {
           R"({"timestamp":0,"input_length":1,"output_length":2,"hash_ids":[]})",
           R"({"hash_ids":[],"output_length":2,"input_length":1,"timestamp":0})",
           "\t{ \"timestamp\" : 0 , \"input_length\" : 1 , \"output_length\" : 2 , \"hash_ids\" : [ ] } \r\n",
       }) {
    const auto row = parse_mooncake_row(line);
    ASSERT_TRUE(row) << row.error().to_string();
    EXPECT_EQ(*row, expected);
  }
}

TEST(MooncakeRow, SaysWhatIsWrongAndWhere) {
  struct Case {
    std::string line;
    std::string_view column;
    std::string_view expected;
  };
  const std::string rest = R"("output_length": 2, "hash_ids": [0]})";
  const Case cases[] = {
      {"", "column 1: ", "expected '{'; found: the end"},
      {"  ", "column 3: ", "expected '{'"},
      {"[]", "column 1: ", "expected '{'; found: []"},
      {"{}", "column 2: ", "expected one of the keys"},
      {R"({"timestamp": 0})", "column 16: ", R"(expected "input_length", which is missing)"},
      {R"({"timestamp": 0, "timestamp": 0})", "column 18: ", "the key stands twice"},
      {R"({"timestamp": 0, "model": 1})", "column 18: ", "expected one of the keys"},
      {R"({"timestamps": 0})", "column 2: ", "expected one of the keys"},
      {R"({"timestamp" 0})", "column 14: ", "expected ':'"},
      {R"({"timestamp": -1, )" + rest, "column 15: ", "expected a whole number from 0 to 31622400000; found: -1"},
      {R"({"timestamp": +1, )" + rest, "column 15: ", "expected a whole number"},
      {R"({"timestamp": 01, )" + rest, "column 15: ", "expected a whole number"},
      {R"({"timestamp": "1", )" + rest, "column 15: ", "expected a whole number"},
      {R"({"timestamp": 31622400001, )" + rest, "column 15: ", "expected a whole number"},
      {R"({"timestamp": 99999999999999999999999, )" + rest, "column 15: ", "expected a whole number"},
      {R"({"timestamp": 1.5, )" + rest, "column 16: ", "is missing; found: .5"},
      {R"({"input_length": 0, )" + rest, "column 18: ", "expected a whole number from 1 to 4194304; found: 0"},
      {R"({"input_length": 4194305, )" + rest, "column 18: ", "expected a whole number from 1 to 4194304"},
      {R"({"hash_ids": [1, ]})", "column 18: ", "expected a whole number"},
      {R"({"hash_ids": [1 2]})", "column 17: ", "expected ']'"},
      {R"({"hash_ids": [9007199254740992]})", "column 15: ", "expected a whole number"},
      {R"({"hash_ids": [1)", "column 16: ", "expected ']'; found: the end"},
      {R"({"timestamp": 0, "input_length": 1, )" + rest + "x", "column 73: ", "expected the end of the line; found: x"},
      {"{\x01\xff\n", "column 2: ", "found: ???"},
  };
  for (const Case& test : cases) {
    const auto row = parse_mooncake_row(test.line);
    ASSERT_FALSE(row) << test.line;
    EXPECT_EQ(row.error().code, ErrorCode::kFileInvalid);
    EXPECT_TRUE(row.error().what.starts_with(test.column)) << test.line << ": " << row.error().what;
    EXPECT_NE(row.error().what.find(test.expected), std::string::npos) << test.line << ": " << row.error().what;
  }
}

TEST(MooncakeRow, BoundsTheHashIds) {
  const auto line = [](std::size_t ids) {
    std::string text = R"({"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [0)";
    for (std::size_t i = 1; i < ids; ++i) text += ",0";
    return text + "]}";
  };
  EXPECT_TRUE(parse_mooncake_row(line(kMooncakeBlocksMax)));
  const auto row = parse_mooncake_row(line(kMooncakeBlocksMax + 1));
  ASSERT_FALSE(row);
  EXPECT_NE(row.error().what.find("at most 8192 hash_ids"), std::string::npos) << row.error().what;
}

}  // namespace
}  // namespace llmd::simulation
