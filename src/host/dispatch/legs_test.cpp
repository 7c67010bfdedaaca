#include "dispatch/legs.h"

#include <gtest/gtest.h>

#include "api/openai/body_edits.h"
#include "pd/nixl.h"

namespace llmd::dispatch {
namespace {

constexpr std::string_view kBody = R"({"model":"m","messages":[],"max_tokens":64,"stream":true,"stream_options":{}})";

TEST(Legs, ThePrefillLegAsksForOneTokenAndNoStream) {
  const auto body = openai::edited(kBody, pd::nixl_prefill_edits(pd::BodyKind::kChatOrCompletion));
  ASSERT_TRUE(body) << body.error().to_string();
  EXPECT_TRUE(body->starts_with(R"({"model":"m","messages":[],)")) << *body;
  for (const char* part : {R"("max_tokens":1,)", R"("stream":false)", R"("do_remote_decode":true)"}) {
    EXPECT_NE(body->find(part), std::string::npos) << part << " is missing in " << *body;
  }
  EXPECT_EQ(body->find("stream_options"), std::string::npos);
}

TEST(Legs, TheDecodeLegCarriesThePrefillersWordsUnchanged) {
  const auto body = decode_body(kBody, R"({"choices":[],"kv_transfer_params":{"remote_host":"h", "x":[1]}})");
  ASSERT_TRUE(body) << body.error().to_string();
  EXPECT_TRUE(body->starts_with(kBody.substr(0, kBody.size() - 1)))
      << "the client's fields stay as they are: " << *body;
  EXPECT_TRUE(body->ends_with(R"(,"kv_transfer_params":{"remote_host":"h", "x":[1]}})")) << *body;
}

TEST(Legs, AnUnusablePrefillAnswerIsAnError) {
  for (const char* answer : {"", "[]", R"({"kv_transfer_params":7})"}) {
    const auto body = decode_body(kBody, answer);
    ASSERT_FALSE(body) << answer;
    EXPECT_EQ(body.error().code, ErrorCode::kProtocol) << answer;
  }
}

TEST(Legs, TheNewerApisTellTheirCountsUnasked) {
  EXPECT_TRUE(asks_for_usage("/v1/completions"));
  EXPECT_FALSE(asks_for_usage("/v1/messages"));
  EXPECT_FALSE(asks_for_usage("/v1/responses"));
}

TEST(Legs, OnlyGenerationIsSplit) {
  EXPECT_TRUE(generates("/v1/chat/completions"));
  EXPECT_TRUE(generates("/v1/messages"));
  EXPECT_TRUE(generates("/v1/responses"));
  EXPECT_FALSE(generates("/v1/messages/count_tokens"));
  EXPECT_FALSE(generates("/v1/embeddings"));
  EXPECT_FALSE(generates("/tokenize"));
}

}  // namespace
}  // namespace llmd::dispatch
