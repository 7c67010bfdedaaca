#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "pd/allow_list.h"
#include "pd/connector.h"
#include "pd/encode.h"
#include "pd/mooncake.h"
#include "pd/moriio.h"
#include "pd/nixl.h"
#include "pd/offloading.h"
#include "pd/sglang.h"
#include "pd/shared_storage.h"

namespace llmd::pd {
namespace {

/// "path=value" of each edit in their order, "-path" where a field is removed, "?" before what is set if it is there,
/// "+" before what is set if it is not.
std::string shown(const FieldEdits& edits) {
  std::string text;
  for (const FieldEdit& edit : edits) {
    if (!text.empty()) text += ' ';
    if (edit.when == FieldEdit::When::kIfPresent) text += '?';
    if (edit.when == FieldEdit::When::kIfAbsent) text += '+';
    text += edit.raw_json.empty() ? "-" + edit.path : edit.path + "=" + edit.raw_json;
  }
  return text;
}

const KvSource kSource{.request_id = "r2", .host = "10.0.0.9", .port = 7778};
const MooncakeMeeting kMeeting{.transfer_id = "xfer-1", .bootstrap_addr = "http://p:8998", .engine_id = "e\"1"};
const MoriioOptions kWide{.decode_host = "10.0.0.2",
                          .tp_size = 1,
                          .dp_size = 16,
                          .dp_size_local = 8,
                          .prefill_hosts = {"p0", "p1"},
                          .decode_hosts = {"d0", "d1"}};
const MoriioPlan kPlan{.transfer_id = "txu", .rank = 3};
constexpr auto kChat = BodyKind::kChatOrCompletion;

TEST(Connectors, SayOfEachLegWhatChanges) {
  const struct {
    const char* name;
    FieldEdits edits;
    std::string expected;
  } cases[] = {
      {"one token, chat", one_token_edits(kChat),
       "max_tokens=1 ?max_completion_tokens=1 ?min_tokens=1 stream=false -stream_options"},
      {"one token, responses", one_token_edits(BodyKind::kResponses),
       "max_output_tokens=1 stream=false -stream_options"},
      {"one token, generate", one_token_edits(BodyKind::kGenerate),
       "sampling_params.max_tokens=1 ?sampling_params.min_tokens=1 stream=false -stream_options"},
      {"nixl with a pull", nixl_prefill_edits(BodyKind::kResponses, &kSource),
       R"(kv_transfer_params={"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,)"
       R"("remote_block_ids":null,"remote_host":null,"remote_port":null,)"
       R"("remote_kv_source":{"kv_request_id":"r2","remote_host":"10.0.0.9","remote_port":7778}} )"
       "stream=false -stream_options max_output_tokens=1"},
      {"sglang", sglang_edits({.host = "10.0.0.1", .bootstrap_port = 8998, .room = 7}),
       R"(bootstrap_host="10.0.0.1" bootstrap_port=8998 bootstrap_room=7)"},
      {"mooncake prefill", mooncake_prefill_edits(BodyKind::kResponses, kMeeting),
       R"(kv_transfer_params={"do_remote_prefill":false,"do_remote_decode":true,"transfer_id":"xfer-1"} )"
       "max_output_tokens=1 stream=false -stream_options"},
      {"mooncake decode", mooncake_decode_edits(kMeeting),
       R"(kv_transfer_params={"do_remote_prefill":true,"do_remote_decode":false,"transfer_id":"xfer-1",)"
       R"("remote_bootstrap_addr":"http://p:8998","remote_engine_id":"e\"1"})"},
      {"offloading prefill", offloading_prefill_edits(BodyKind::kResponses, "r1", &kSource),
       R"(kv_transfer_params={"remote_decoder":{"kv_request_id":"r1"},)"
       R"("remote_kv_source":{"kv_request_id":"r2","remote_host":"10.0.0.9","remote_port":7778}} )"
       "max_output_tokens=1 stream=false -stream_options"},
      {"offloading decode", offloading_decode_edits(kSource),
       R"(kv_transfer_params={"remote_prefiller":{"kv_request_id":"r2","remote_host":"10.0.0.9","remote_port":7778}})"},
      {"pull only", kv_source_edits(kSource),
       R"(kv_transfer_params={"remote_kv_source":{"kv_request_id":"r2","remote_host":"10.0.0.9","remote_port":7778}})"},
      {"shared storage prefill", shared_storage_prefill_edits(kChat),
       "max_tokens=1 max_completion_tokens=1 ?min_tokens=1 stream=false -stream_options cache_hit_threshold=0"},
      {"shared storage decode", shared_storage_decode_edits(), "cache_hit_threshold=0"},
      {"encode", encode_edits(R"({"type":"image_url"})"),
       "max_tokens=1 ?max_completion_tokens=1 ?min_tokens=1 stream=false -stream_options "
       R"(messages=[{"role":"user","content":[{"type":"image_url"}]}])"},
      {"encoded", encoded_edits(R"({"h":1})"), R"(cache_hit_threshold=0 ec_transfer_params={"h":1})"},
      {"encoded, nothing said", encoded_edits(""), "cache_hit_threshold=0"},
  };
  for (const auto& item : cases) EXPECT_EQ(shown(item.edits), item.expected) << item.name;
}

TEST(Moriio, TellsThePrefillSideWhereTheDecodeSideIs) {
  const FieldEdits edits = moriio_prefill_edits(BodyKind::kResponses, kWide, kPlan);
  EXPECT_EQ(edits.front().raw_json,
            R"({"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,"remote_block_ids":null,)"
            R"("remote_host":"10.0.0.2","remote_port":null,"remote_notify_port":61005,"remote_handshake_port":6301,)"
            R"("remote_dp_rank":3,"remote_dp_rank_override":true,"transfer_id":"txu","tp_size":1,"remote_dp_size":16,)"
            R"("remote_hosts":["d0","d1"],"remote_dp_size_local":8})");
}

TEST(Moriio, FillsWhatThePrefillSideLeftOut) {
  EXPECT_EQ(shown(moriio_params_edits(kWide, kPlan, 5)),
            R"(remote_dp_rank=5 remote_dp_rank_override=true +transfer_id="txu" +remote_notify_port=61005 )"
            R"(+remote_handshake_port=6301 +remote_dp_size=16 +remote_hosts=["p0","p1"] +remote_dp_size_local=8)");
  EXPECT_EQ(shown(moriio_parallel_decode_edits({.decode_host = "d", .dp_size = 1}, {"txu", 0}, "10.0.0.1")),
            R"(kv_transfer_params={"do_remote_prefill":true,"do_remote_decode":false,)"
            R"("remote_engine_id":"10.0.0.1:6301","remote_block_ids":[],"remote_host":"10.0.0.1","remote_port":6301,)"
            R"("remote_notify_port":61005,"remote_handshake_port":6301,"remote_dp_rank":0,)"
            R"("remote_dp_rank_override":true,"transfer_id":"txu","tp_size":1,"remote_dp_size":1})");
}

TEST(Moriio, TakesTheRankThatWasToldIfItIsOne) {
  const struct {
    std::optional<std::string_view> told;
    std::uint32_t expected;
  } cases[] = {{std::nullopt, 3}, {"7", 7}, {"0", 0}, {"16", 3}, {"-1", 3}, {"1.5", 3}, {"\"7\"", 3}, {"null", 3}};
  for (const auto& item : cases)
    EXPECT_EQ(moriio_decode_rank(item.told, kWide, kPlan), item.expected) << item.told.value_or("none");
  // As llm-d's sidecar and vLLM's connector choose.
  const struct {
    const char* id;
    std::uint32_t ranks;
    std::uint32_t expected;
  } ranks[] = {{"any", 1, 0},
               {"abc", 8, 2},
               {"cmpl-foo-0", 8, 5},
               {"abc", 16, 2},
               {"cmpl-deadbeef-cafe-1234", 8, 4},
               {"00000000-0000-0000-0000-000000000000", 8, 6}};
  for (const auto& item : ranks) EXPECT_EQ(moriio_rank(item.id, item.ranks), item.expected) << item.id;
}

TEST(Sglang, RoomsAreWhatADoubleHoldsAndDiffer) {
  Rng rng{1};
  std::vector<std::uint64_t> rooms;
  for (int i = 0; i < 1'000; ++i) rooms.push_back(sglang_room(rng));
  std::ranges::sort(rooms);
  EXPECT_EQ(std::ranges::adjacent_find(rooms), rooms.end());
  EXPECT_GE(rooms.front(), 1U);
  EXPECT_LT(rooms.back(), std::uint64_t{1} << 53U);
}

TEST(Connector, HasLlmDsNames) {
  for (const std::string_view name : {"nixlv2", "shared-storage", "sglang", "mooncake", "offloading"}) {
    const auto connector = connector_of(name);
    ASSERT_TRUE(connector) << name;
    EXPECT_EQ(connector_name(*connector), name);
  }
  EXPECT_FALSE(connector_of("nixl"));
  EXPECT_FALSE(prefills_locally(Connector::kSglang));
  EXPECT_TRUE(is_concurrent(Connector::kMooncake));
  EXPECT_FALSE(is_concurrent(Connector::kNixl));
}

TEST(BodyKind, IsOfThePath) {
  EXPECT_EQ(body_kind("/v1/messages"), BodyKind::kChatOrCompletion);
  EXPECT_EQ(body_kind("/v1/responses"), BodyKind::kResponses);
  EXPECT_EQ(body_kind("/inference/v1/generate"), BodyKind::kGenerate);
}

TEST(Quoted, EscapesWhatJsonMustNotHold) { EXPECT_EQ(quoted("a\"\\\x01\n"), R"("a\"\\\u0001\u000a")"); }

TEST(AllowList, KnowsHostsWhateverTheirPort) {
  const AllowList list{{"10.0.0.1", "Pod-0.ns", "[fd00::1]"}};
  EXPECT_TRUE(list.contains("10.0.0.1"));
  EXPECT_TRUE(list.contains("pod-0.NS"));
  EXPECT_TRUE(list.contains("fd00::1"));
  EXPECT_TRUE(list.contains("[fd00::1]"));
  EXPECT_FALSE(list.contains("10.0.0.2"));
  EXPECT_FALSE(list.contains(""));
  EXPECT_EQ(list.size(), 3U);
}

}  // namespace
}  // namespace llmd::pd
