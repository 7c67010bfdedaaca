#include "apps/explain/report.h"

#include <gtest/gtest.h>

#include <sstream>

#include "apps/explain/report_parts.h"

namespace llmd::explain {
namespace {

constexpr const char* kRecord =
    R"({"request_id":"r1","detail":"full","chosen":"b","prefill":"","prompt_tokens":12,"prompt_tokens_exact":false,
"cached_tokens_expected":4,"block_tokens":64,"snapshot_version":3,"snapshot_age_ms":4,
"predicted":{"ttft_ms":4.0,"ttft_deviation_ms":0.5,"tpot_ms":2.0,"tpot_deviation_ms":0.1},
"profiles":[{"profile":"default","chosen":"b","picker":"max-score-picker",
"runner_up":{"endpoint":"a","behind":1.5,"because":[{"scorer":"queue-scorer","difference":-1.5}]},
"others":[{"policy":"random","endpoint":"a","predicted":{"ttft_ms":9.0,"ttft_deviation_ms":1.0}},
{"policy":"least-loaded","endpoint":"b","predicted":null}],
"candidates_total":70,"candidates":[
{"endpoint":"b","total":2.5,"predicted":{"ttft_ms":4.0,"ttft_deviation_ms":0.5,"tpot_ms":2.0,"tpot_deviation_ms":0.1},
"parts":[{"scorer":"queue-scorer","score":1.0,"weight":2.0,"weighted":2.0,"metric_age_ms":7},
{"scorer":"kv-scorer","score":0.25,"weight":2.0,"weighted":0.5}]},
{"endpoint":"a","total":1.0,"predicted":null,
"parts":[{"scorer":"queue-scorer","score":0.25,"weight":2.0,"weighted":0.5,"metric_missing":true},
{"scorer":"kv-scorer","score":0.25,"weight":2.0,"weighted":0.5}]}],
"filtered_total":3,"filtered":[{"endpoint":"c","filter":"health-filter","reason":"is down"},
{"endpoint":"d","filter":"health-filter","reason":"is down"}]}],
"pd":{"rule":"short-uncached-part","observed":12,"limit":64},
"outcome":{"status":200,"endpoint":"b","prefill_endpoint":"","endpoint_failed":false,"cancelled":false,
"retries":1,"ttft_ms":5.0,"tpot_ms":1.5,"total_ms":9.0,"prompt_tokens":12,"cached_tokens":4,"completion_tokens":8,
"kv_blocks":0,"kv_bytes":0,"kv_recomputed_tokens":0}})";

std::string with(std::string record, std::string_view place, std::string_view instead) {
  const std::size_t at = record.find(place);
  EXPECT_NE(at, std::string::npos) << place;
  return record.replace(at, place.size(), instead);
}

TEST(ExplainReport, TellsWhoWasChosenWhyAndWhatCameOfIt) {
  const auto text = report(kRecord);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text, R"(request r1: to b
about 12 prompt tokens, 4 of them expected to be cached in blocks of 64; snapshot 3, 4 ms old
profile default: b of 70 candidates (picker max-score-picker)
     scores: a queue-scorer x 2
     alike for all: kv-scorer 0.250 x 2
     endpoint     total      a   age ms  TTFT ms  TPOT ms
  -> b            2.500  1.000        7      4.0      2.0
     a            1.000  0.250?       -        -        -
     and 68 more candidates
     ?: no fresh metric, so the mean of the others counts
   x health-filter: is down: c, d
   x 1 more filtered, of which no reason was written down
  runner-up a, 1.500 behind: queue-scorer -1.500
  random would have taken a: first token after 9.0 ± 1.0 ms
  least-loaded would have taken b, too
prefill or not: short-uncached-part (12 against 64)
predicted: first token after 4.0 ± 0.5 ms, 2.0 ± 0.1 ms a token; seen: 5.0 ms (+25 %), 1.5 ms (-25 %)
outcome: 200 from b, first byte after 5.0 ms, all after 9.0 ms, 1 retries
tokens: 12 prompt, 4 of them cached, 8 generated
)");
}

TEST(ExplainReport, SaysWhatIsRecordedInBriefAndHowToHaveAll) {
  const auto text = report(with(kRecord, R"("detail":"full")", R"("detail":"brief")"));
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("recorded in brief"), std::string::npos) << *text;
  EXPECT_NE(text->find("x-llmd-explain: 1"), std::string::npos) << *text;
}

TEST(ExplainReport, KeepsLinesShortWithManyScorersAndLongNames) {
  Json record = Json::parse(kRecord);
  Json& profile = record["profiles"][0];
  for (Json& candidate : profile["candidates"]) {
    const Json part = candidate["parts"][0];
    for (int i = 0; i < 20; ++i) candidate["parts"].push_back(part);
    candidate["endpoint"] = candidate["endpoint"].get<std::string>() + std::string(100, 'n');
  }
  const auto text = report(record.dump());
  ASSERT_TRUE(text) << text.error().to_string();
  std::istringstream lines{*text};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("     ")) {
      EXPECT_LE(line.size(), 120U) << line;
    }
  }
}

TEST(ExplainReport, TellsHowAPrefillLegEnded) {
  const std::string split = with(kRecord, R"("prefill_endpoint":"")", R"("prefill_endpoint":"p")");
  const auto moved = report(split);
  ASSERT_TRUE(moved);
  EXPECT_NE(moved->find("prefill by p: 0 blocks, 0 bytes moved, 0 tokens recomputed"), std::string::npos) << *moved;
  const std::string failed = with(split, R"("kv_recomputed_tokens":0)",
                                  R"("kv_recomputed_tokens":8,"prefill_error":"upstream_failed: it answered 503")");
  const auto told = report(failed);
  ASSERT_TRUE(told);
  EXPECT_NE(told->find("prefill by p failed: upstream_failed: it answered 503; 8 tokens computed by b instead\n"),
            std::string::npos)
      << *told;
  const auto wrong = report(with(split, R"("status":200,"endpoint":"b")", R"("status":400,"endpoint":"p")"));
  ASSERT_TRUE(wrong);
  EXPECT_NE(wrong->find("outcome: 400 from p"), std::string::npos) << *wrong;
  EXPECT_NE(wrong->find("it found the request wrong"), std::string::npos) << *wrong;
}

TEST(ExplainReport, TellsWhyARequestWasRefused) {
  const std::string refusal =
      R"("refusal":{"status":503,"code":"no_endpoint","message":"nothing can serve","hint":"wait"},)";
  const auto decided = report(with(kRecord, R"("chosen":"b","prefill":"",)", R"("chosen":"","prefill":"",)" + refusal));
  ASSERT_TRUE(decided);
  EXPECT_TRUE(decided->starts_with("request r1: refused with 503 no_endpoint: nothing can serve (wait)\n")) << *decided;
  EXPECT_NE(decided->find("health-filter: is down"), std::string::npos) << *decided;
  EXPECT_EQ(decided->find("outcome:"), std::string::npos) << *decided;
  const auto early = report(
      R"({"request_id":"r2","detail":"none","chosen":"","prefill":"","predicted":null,"profiles":[],"outcome":null,)" +
      refusal.substr(0, refusal.size() - 1) + "}");
  ASSERT_TRUE(early) << early.error().to_string();
  EXPECT_EQ(*early, "request r2: refused with 503 no_endpoint: nothing can serve (wait)\n");
}

TEST(ExplainReport, NamesPoolAndRouteWhereThereAreSeveral) {
  const auto text = report(with(kRecord, R"("detail":"full")", R"("detail":"full","pool":"new","route":"canary")"));
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_NE(text->find("given to pool new by route canary\n"), std::string::npos) << *text;
  EXPECT_EQ(report(kRecord)->find("route"), std::string::npos);
}

TEST(ExplainReport, RefusesWhatIsNoExplanation) {
  for (const char* json : {"", "[]", "{}", R"({"request_id":7})"}) {
    const auto text = report(json);
    ASSERT_FALSE(text) << json;
    EXPECT_EQ(text.error().code, ErrorCode::kProtocol);
  }
}

std::string verdict(std::string_view rest, std::string_view detail = "full") {
  return R"({"request_id":"r1","detail":")" + std::string{detail} +
         R"(","asked":"x","endpoint":"b","meant":[],"hint":"","profiles":[{"profile":"default","chosen":"a",)" +
         R"("picker":"max-score-picker",)" + std::string{rest} + "}]}";
}

TEST(ExplainReport, HasASentenceForEachWayNotToBeChosen) {
  const std::string scored =
      R"("total":1.5,"chosen_total":2.0,"scorers":[{"scorer":"queue-scorer","weight":2.0,"score":0.25,)"
      R"("chosen_score":0.5,"difference":-0.5,"metric_age_ms":7,"chosen_metric_missing":true}],)"
      R"("predicted":{"ttft_ms":9.0,"ttft_deviation_ms":1.0},"chosen_predicted":null)";
  const struct {
    const char* name;
    std::string json;
    const char* said;
  } cases[]{
      {"chosen", verdict(R"("verdict":"chosen")"), "profile default: b was chosen\n"},
      {"filtered", verdict(R"("verdict":"filtered","filter":"health-filter","reason":"is down")"),
       "profile default: b was filtered by health-filter: is down\n"},
      {"not there", verdict(R"("verdict":"not_there")"), "was not in the pool when this was decided"},
      {"not listed", verdict(R"("verdict":"not_recorded")"), "not among the endpoints that are recorded"},
      {"brief", verdict(R"("verdict":"not_recorded")", "brief"),
       "only a and the runner-up are; send it with the header"},
      {"lower", verdict(R"("verdict":"scored_lower",)" + scored),
       "scored 1.500, 0.500 less than a, which was chosen\n"},
      {"tied", verdict(R"("verdict":"tied",)" + scored), "as good as a (1.500), and the picker max-score-picker"},
      {"passed over", verdict(R"("verdict":"passed_over",)" + scored),
       "scored 1.500, more than the 2.000 of a, but max-score"},
  };
  for (const auto& each : cases) {
    const auto text = report_why_not(each.json);
    ASSERT_TRUE(text) << each.name << ": " << text.error().to_string();
    EXPECT_NE(text->find(each.said), std::string::npos) << each.name << ": " << *text;
  }
  EXPECT_EQ(*report_why_not(verdict(R"("verdict":"scored_lower",)" + scored)),
            R"(profile default: b scored 1.500, 0.500 less than a, which was chosen
  scorer        weight        b        a  difference
  queue-scorer       2    0.250    0.500      -0.500  its metric (7 ms old)  the other has no fresh metric
  predicted: first token after 9.0 ± 1.0 ms
)");
}

TEST(ExplainReport, SaysWhoMayBeMeantWhereNoneOrSeveralAre) {
  const std::string nobody =
      R"({"request_id":"r1","detail":"full","asked":"x","endpoint":null,"meant":[],"hint":"did you mean y?",)"
      R"("profiles":[]})";
  const auto none = report_why_not(nobody);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(none.error().hint, "did you mean y?");
  const auto several = report_why_not(with(nobody, R"("meant":[])", R"("meant":["xa","xb"])"));
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().hint, "write more of xa, xb");
  const auto refused = report_why_not(with(nobody, R"("endpoint":null)", R"("endpoint":"x")"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(*refused, "request r1 was refused before any endpoint was looked at\n");
  EXPECT_EQ(report_why_not("[]").error().code, ErrorCode::kProtocol);
}

}  // namespace
}  // namespace llmd::explain
