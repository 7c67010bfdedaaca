#include "simulation/workloads/recorded_log.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "simulation/workloads/mooncake_row.h"

namespace llmd::simulation {
namespace {

constexpr std::string_view kWhole =
    R"({"timestamp":12,"input_length":130,"output_length":7,"hash_ids":[5],"block_tokens":64,"block_ids":[8,9],)"
    R"("model":"m \" x","counted":"exact","session":3,"fairness":4,"priority":-2,"max_tokens":10,"slo_ttft_ms":250.5,)"
    R"("slo_tpot_ms":40,"endpoint":"http://a:1","prefill_endpoint":"b","status":200,"retries":1,"ttft_ms":12.5,)"
    R"("e2e_ms":99,"cached_tokens":64})";

constexpr std::string_view kRest =
    R"("input_length":1,"output_length":1,"block_tokens":16,"block_ids":[],"status":200})";

TEST(RecordedRow, ReadsAllThatTheGatewayWrites) {
  const auto row = parse_recorded_row(kWhole);
  ASSERT_TRUE(row) << row.error().to_string();
  EXPECT_EQ(*row, (RecordedRow{.timestamp_ms = 12,
                               .input_tokens = 130,
                               .output_tokens = 7,
                               .block_tokens = 64,
                               .block_ids = {8, 9},
                               .endpoint = "http://a:1",
                               .status = 200,
                               .session = 3,
                               .fairness = 4,
                               .priority = -2,
                               .slo_ttft_ms = 250.5F,
                               .slo_tpot_ms = 40.0F}));
  EXPECT_TRUE(looks_recorded(kWhole));
  EXPECT_FALSE(looks_recorded(R"({"timestamp": 0, "input_length": 1, "output_length": 2, "hash_ids": []})"));
}

TEST(RecordedRow, TakesTheLongestNameThatTheGatewayWrites) {
  std::string name;
  for (int i = 0; i < 1'024; ++i) name += R"(\u0001)";
  const auto with = [](const std::string& model) {
    return R"({"timestamp":0,"model":")" + model + R"(",)" + std::string{kRest};
  };
  const auto row = parse_recorded_row(with(name));
  EXPECT_TRUE(row) << row.error().to_string();
  EXPECT_FALSE(parse_recorded_row(with(name + "x")));
}

TEST(RecordedRow, TakesAnObjectiveOfZeroForNone) {
  const auto row = parse_recorded_row(R"({"timestamp":0,"slo_ttft_ms":0,"slo_tpot_ms":1e-99,)" + std::string{kRest});
  ASSERT_TRUE(row) << row.error().to_string();
  EXPECT_FALSE(row->slo_ttft_ms);
  EXPECT_FALSE(row->slo_tpot_ms);
}

TEST(RecordedRow, SaysWhatIsWrongAndWhere) {
  const std::string rest{kRest};
  ASSERT_TRUE(parse_recorded_row(R"({"timestamp":0,)" + rest));
  struct Case {
    std::string line;
    std::string_view expected;
  };
  const Case cases[] = {
      {"", "column 1: expected '{'"},
      {"{" + rest, "expected \"timestamp\", which is missing"},
      {R"({"timestamp":0,"timestamp":0,)" + rest, "column 16: the key stands twice"},
      {R"({"timestamp":0,"other":0,)" + rest, "column 16: expected a key of the recorded log"},
      {R"({"timestamp":0,"model":7,)" + rest, "column 24: expected a string"},
      {R"({"timestamp":0,"model":"a\",)", "column 24: expected a string of at most 6144 bytes"},
      {R"({"timestamp":0,"priority":1.5,)" + rest, "column 27: expected a whole number"},
      {R"({"timestamp":0,"priority":3000000000,)" + rest, "column 27: expected a number from"},
      {R"({"timestamp":0,"ttft_ms":-1,)" + rest, "column 26: expected a number from 0"},
      {R"({"timestamp":0,"ttft_ms":nan,)" + rest, "column 26: expected a number from 0"},
      {R"({"timestamp":0,"input_length":32,"output_length":1,"block_tokens":16,"block_ids":[1],"status":200})",
       "expected one of block_ids for each 16 tokens of 32, not 1"},
      {R"({"timestamp":0,)" + rest + "x", "expected the end of the line; found: x"},
  };
  for (const Case& test : cases) {
    const auto row = parse_recorded_row(test.line);
    ASSERT_FALSE(row) << test.line;
    EXPECT_EQ(row.error().code, ErrorCode::kFileInvalid);
    EXPECT_NE(row.error().what.find(test.expected), std::string::npos) << test.line << ": " << row.error().what;
  }
}

RecordedRow row(std::uint64_t at, std::vector<std::uint64_t> ids, std::uint64_t session = 0) {
  return {.timestamp_ms = at,
          .input_tokens = static_cast<std::uint32_t>(ids.size() * 16 + 3),
          .output_tokens = 30,
          .block_tokens = 16,
          .block_ids = std::move(ids),
          .session = session};
}

TEST(RecordedLog, ReplaysWhatWasServedInOrderOfArrival) {
  std::vector<RecordedRow> rows{row(30, {1, 2, 3}, 900), row(10, {1, 2}, 800), row(20, {7}, 900)};
  rows.push_back(row(5, {1}));
  rows.back().status = 503;
  rows.push_back(row(40, {1}));
  rows.back().status = 499;
  auto ordered = RecordedLog::in_order(rows);
  ASSERT_TRUE(ordered) << ordered.error().to_string();
  RecordedLog log{*ordered};
  EXPECT_EQ(log.block_tokens(), 16U);
  std::vector<SimRequest> requests;
  while (auto request = log.next()) requests.push_back(std::move(*request));
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[0].arrival, milliseconds{10});
  EXPECT_EQ(requests[0].blocks.size(), 4U) << "35 tokens of the prompt and 30 of the answer";
  EXPECT_EQ(requests[2].blocks[0], requests[0].blocks[0]);
  EXPECT_EQ(requests[2].blocks[1], requests[0].blocks[1]);
  EXPECT_NE(requests[2].blocks[2], requests[0].blocks[2]) << "that one is an answer's";
  EXPECT_NE(requests[1].blocks[0], requests[0].blocks[0]);
  EXPECT_EQ(requests[0].session, 1U);
  EXPECT_EQ(requests[1].session, 2U);
  EXPECT_EQ(requests[2].session, 2U);
  EXPECT_EQ(requests[3].session, 0U);
}

TEST(RecordedLog, GivesEndpointsPlacesByTheNumberInTheirNames) {
  std::vector<RecordedRow> rows;
  for (const std::string_view name : {"worker-10", "worker-2", "", "worker-1", "worker-10"}) {
    rows.push_back(row(rows.size(), {}));
    rows.back().endpoint = name;
  }
  auto ordered = RecordedLog::in_order(rows);
  ASSERT_TRUE(ordered) << ordered.error().to_string();
  RecordedLog log{*ordered};
  EXPECT_EQ(log.endpoints(), (std::vector<std::string_view>{"worker-1", "worker-2", "worker-10"}));
  std::vector<std::uint32_t> places;
  while (const auto request = log.next()) places.push_back(request->recorded_endpoint);
  EXPECT_EQ(places, (std::vector<std::uint32_t>{2, 1, kNoEndpoint, 0, 2}));
}

TEST(RecordedLog, RefusesBlocksOfTwoSizesAndNothing) {
  std::vector<RecordedRow> rows{row(1, {1}), row(2, {})};
  rows.back().block_tokens = 32;
  const auto mixed = RecordedLog::in_order(rows);
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().what, "blocks of 16 tokens and of 32");
  EXPECT_FALSE(RecordedLog::in_order({}));
}

}  // namespace
}  // namespace llmd::simulation
