#include "simulation/workloads/mooncake_trace.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmd::simulation {
namespace {

std::vector<SimRequest> requests_of(std::vector<MooncakeRow> rows) {
  auto trace = MooncakeTrace::make(std::make_shared<const std::vector<MooncakeRow>>(std::move(rows)));
  EXPECT_TRUE(trace);
  std::vector<SimRequest> requests;
  while (auto request = (*trace)->next()) requests.push_back(std::move(*request));
  return requests;
}

TEST(MooncakeTrace, GivesTheRowsAsTheyAre) {
  const auto requests =
      requests_of({{.timestamp_ms = 0, .input_tokens = 1'100, .output_tokens = 10, .hash_ids = {0, 1, 2}},
                   {.timestamp_ms = 3'000, .input_tokens = 1'536, .output_tokens = 20, .hash_ids = {0, 1, 3}}});
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].id, 1U);
  EXPECT_EQ(requests[0].arrival, Duration{});
  EXPECT_EQ(requests[0].blocks.size(), 2U) << "the third block is not whole";
  EXPECT_EQ(requests[1].arrival, seconds{3});
  EXPECT_EQ(requests[1].prompt_tokens, 1'536U);
  EXPECT_EQ(requests[1].output_tokens, 20U);
  ASSERT_EQ(requests[1].blocks.size(), 3U);
  EXPECT_EQ(requests[0].blocks[0], requests[1].blocks[0]);
  EXPECT_EQ(requests[0].blocks[1], requests[1].blocks[1]);
  EXPECT_EQ(requests[1].session, 0U);
  EXPECT_EQ(requests[1].next_turn, nullptr);
}

TEST(MooncakeTrace, GivesAnswersNamesOfTheirOwn) {
  const MooncakeRow row{.input_tokens = 600, .output_tokens = 1'000, .hash_ids = {0, 1}};
  const auto requests = requests_of({row, row, {.input_tokens = 100, .output_tokens = 1'000, .hash_ids = {9}}});
  ASSERT_EQ(requests[0].blocks.size(), 3U) << "1,600 tokens";
  ASSERT_EQ(requests[1].blocks.size(), 3U);
  EXPECT_EQ(requests[0].blocks[0], requests[1].blocks[0]);
  EXPECT_NE(requests[0].blocks[1], requests[1].blocks[1]);
  EXPECT_NE(requests[0].blocks[1], requests[0].blocks[2]);
  EXPECT_EQ(requests[2].blocks.size(), 2U) << "a prompt without a whole block";
}

TEST(MooncakeTrace, RefusesRowsThatCannotBe) {
  const MooncakeRow good{.timestamp_ms = 5, .input_tokens = 600, .output_tokens = 1, .hash_ids = {0, 1}};
  const auto with = [&](auto change) {
    MooncakeRow row = good;
    change(row);
    return row;
  };
  struct Case {
    MooncakeRow row;
    std::string_view expected;
  };
  const Case cases[] = {
      {with([](MooncakeRow& row) { row.timestamp_ms = 4; }), "timestamp 4 comes after 5"},
      {with([](MooncakeRow& row) { row.timestamp_ms = kMooncakeTimestampMaxMs + 1; }), "timestamp 31622400001"},
      {with([](MooncakeRow& row) { row.hash_ids.pop_back(); }), "1 hash_ids for 600 tokens, expected 2"},
      {with([](MooncakeRow& row) { row.hash_ids.push_back(2); }), "3 hash_ids for 600 tokens, expected 2"},
      {with([](MooncakeRow& row) { row.input_tokens = 0; }), "lengths 0 and 1, expected 1 to 4194304"},
      {with([](MooncakeRow& row) { row.output_tokens = 4'194'305; }), "lengths 600 and 4194305"},
      {with([](MooncakeRow& row) { row.hash_ids[1] = ~0ULL; }), "hash id 18446744073709551615"},
  };
  for (const Case& test : cases) {
    const auto trace =
        MooncakeTrace::make(std::make_shared<const std::vector<MooncakeRow>>(std::vector{good, test.row}));
    ASSERT_FALSE(trace) << test.expected;
    EXPECT_EQ(trace.error().code, ErrorCode::kFileInvalid);
    EXPECT_TRUE(trace.error().what.starts_with("row 2: ")) << trace.error().what;
    EXPECT_NE(trace.error().what.find(test.expected), std::string::npos) << trace.error().what;
  }
}

TEST(MooncakeTrace, NamesABlockByAllBeforeIt) {
  // No chain: 7 follows 0, 1 and itself.
  const auto requests = requests_of({{.input_tokens = 1'536, .output_tokens = 1, .hash_ids = {0, 7, 7}},
                                     {.input_tokens = 1'536, .output_tokens = 1, .hash_ids = {1, 7, 7}}});
  EXPECT_NE(requests[0].blocks[1], requests[1].blocks[1]);
  EXPECT_NE(requests[0].blocks[1], requests[0].blocks[2]);
}

TEST(MooncakeTrace, MayBeEmpty) { EXPECT_TRUE(requests_of({}).empty()); }

}  // namespace
}  // namespace llmd::simulation
