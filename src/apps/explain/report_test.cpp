#include "apps/explain/report.h"

#include <gtest/gtest.h>

namespace llmd::explain {
namespace {

constexpr const char* kRecord =
    R"({"request_id":"r1","chosen":"b","prefill":"","prompt_tokens":12,"prompt_tokens_exact":false,
"cached_tokens_expected":4,"block_tokens":64,"snapshot_version":3,
"snapshot_age_ms":4,"profiles":[{"profile":"default","chosen":"b","picker":"max-score-picker","candidates":[
{"endpoint":"b","total":2.5,"parts":[{"scorer":"queue-scorer","score":1.0,"weight":2.0,"metric_age_ms":7}]},
{"endpoint":"a","total":1.0,"parts":[{"scorer":"queue-scorer","score":0.5,"weight":2.0,"metric_missing":true}]}],
"filtered":[{"endpoint":"c","filter":"health-filter","reason":"is down"}]}],
"pd":{"rule":"short-uncached-part","observed":12,"limit":64},
"outcome":{"status":200,"endpoint":"b","prefill_endpoint":"","endpoint_failed":false,"cancelled":false,
"retries":1,"ttft_ms":3.5,"total_ms":9.0,"prompt_tokens":12,"cached_tokens":4,"completion_tokens":8,
"kv_blocks":0,"kv_bytes":0,"kv_recomputed_tokens":0}})";

TEST(ExplainReport, TellsWhoWasChosenWhyAndWhatCameOfIt) {
  const auto text = report(kRecord);
  ASSERT_TRUE(text) << text.error().to_string();
  for (const char* part :
       {"request r1: to b", "about 12 prompt tokens, 4 of them expected to be cached", "-> b",
        "queue-scorer 1.000 x 2 (7 ms old)", "(no fresh metric)", "health-filter: is down",
        "short-uncached-part (12 against 64)", "outcome: 200 from b", "1 retries", "12 prompt, 4 of them cached"}) {
    EXPECT_NE(text->find(part), std::string::npos) << part << " is missing in:\n" << *text;
  }
}

std::string with(std::string record, std::string_view place, std::string_view instead) {
  const std::size_t at = record.find(place);
  EXPECT_NE(at, std::string::npos) << place;
  return record.replace(at, place.size(), instead);
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
  EXPECT_EQ(decided->find("outcome"), std::string::npos) << *decided;
  const auto early = report(R"({"request_id":"r2","chosen":"","prefill":"","profiles":[],"outcome":null,)" +
                            refusal.substr(0, refusal.size() - 1) + "}");
  ASSERT_TRUE(early) << early.error().to_string();
  EXPECT_EQ(*early, "request r2: refused with 503 no_endpoint: nothing can serve (wait)\n");
}

TEST(ExplainReport, RefusesWhatIsNoExplanation) {
  for (const char* json : {"", "[]", "{}", R"({"request_id":7})"}) {
    const auto text = report(json);
    ASSERT_FALSE(text) << json;
    EXPECT_EQ(text.error().code, ErrorCode::kProtocol);
  }
}

}  // namespace
}  // namespace llmd::explain
