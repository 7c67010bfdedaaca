#include "pool/exposition_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/rng.h"

namespace llmd::pool {
namespace {

TEST(SeriesNames, FindsWhatWasAddedAndNothingElse) {
  Rng rng{11};
  SeriesNames names;
  std::set<std::string> known;
  for (int i = 0; i < 500; ++i) {
    std::string name;
    for (std::size_t left = 1 + rng.below(24); left > 0; --left) name += static_cast<char>('a' + rng.below(3));
    const bool is_new = known.insert(name).second;
    const std::size_t before = names.size();
    const std::size_t number = names.add(name);
    ASSERT_EQ(number == before, is_new) << name;
    ASSERT_EQ(names.size(), known.size());
  }
  for (const std::string& name : known) {
    ASSERT_NE(names.find(name), SeriesNames::kNone) << name;
    ASSERT_TRUE(names.may_begin(name + "{}")) << name;
    ASSERT_EQ(names.find(name + "z"), SeriesNames::kNone) << name;
  }
  EXPECT_EQ(SeriesNames{}.find("a"), SeriesNames::kNone);
}

TEST(SeriesNames, TurnsMostOtherLinesAwayByTheirBeginning) {
  SeriesNames names;
  for (const char* name : {"vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "sglang:token_usage"})
    names.add(name);
  EXPECT_TRUE(names.may_begin("vllm:num_requests_running 1"));
  EXPECT_FALSE(names.may_begin("vllm:e2e_request_latency_seconds_bucket{le=\"1\"} 2"));
  EXPECT_FALSE(names.may_begin("# HELP vllm:num_requests_waiting"));
  EXPECT_FALSE(names.may_begin("a 1"));
}

TEST(LabelReader, ReadsLabelsAsTheTextFormatHasThem) {
  const std::string_view labels = R"({a="1",b="x\"},c=\"", c = "\\", d="",})";
  LabelReader reader{labels};
  std::string seen;
  while (const auto label = reader.next()) seen += fmt::format("{}|{};", label->name, label->value);
  EXPECT_EQ(seen, R"(a|1;b|x\"},c=\";c|\\;d|;)");
  EXPECT_EQ(LabelReader::value_of(labels, "c"), R"(\\)");
  EXPECT_TRUE(LabelReader::find(labels, "d"));
  EXPECT_FALSE(LabelReader::find(labels, "e"));
  EXPECT_TRUE(LabelReader::same(R"(x\"},c=\")", R"(x"},c=")"));
  EXPECT_TRUE(LabelReader::same(R"(a\nb\\)", "a\nb\\"));
  EXPECT_FALSE(LabelReader::same("ab", "a"));
  EXPECT_FALSE(LabelReader::same("a", "ab"));
}

TEST(LabelReader, EndsAtWhatIsNoLabel) {
  for (const std::string_view labels :
       {"", "{", "{}", "{a}", "{a=}", "{a=1}", "{a=\"1}", "{a=\"1\\", "{=", "{,,,", "a"}) {
    LabelReader reader{labels};
    int count = 0;
    while (reader.next() && count < 10) ++count;
    EXPECT_EQ(count, 0) << labels;
  }
}

TEST(ReadNumber, TakesWholeNumbersOfTheFormatOnly) {
  EXPECT_EQ(read_number("3"), 3);
  EXPECT_EQ(read_number("+3.5e2"), 350);
  EXPECT_EQ(read_number("-0.25"), -0.25);
  EXPECT_TRUE(std::isinf(*read_number("+Inf")));
  EXPECT_TRUE(std::isnan(*read_number("NaN")));
  for (const char* text : {"", "+", "x", "3x", "3 ", "0x10", "--1"}) EXPECT_FALSE(read_number(text)) << text;
}

}  // namespace
}  // namespace llmd::pool
