#include "pd/nixl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace llmd::pd {
namespace {

std::string value_of(const FieldEdits& edits, std::string_view path) {
  const auto found = std::find_if(edits.begin(), edits.end(), [&](const FieldEdit& edit) { return edit.path == path; });
  if (found == edits.end()) return "untouched";
  return found->raw_json.empty() ? "removed" : found->raw_json;
}

TEST(NixlPrefill, AsksForOneTokenUnstreamedAndToKeepTheKv) {
  const FieldEdits edits = nixl_prefill_edits(BodyKind::kChatOrCompletion);
  EXPECT_EQ(value_of(edits, "max_tokens"), "1");
  EXPECT_EQ(value_of(edits, "max_completion_tokens"), "1");
  EXPECT_EQ(value_of(edits, "min_tokens"), "1");
  EXPECT_EQ(value_of(edits, "stream"), "false");
  EXPECT_EQ(value_of(edits, "stream_options"), "removed");
  EXPECT_EQ(
      value_of(edits, "kv_transfer_params"),
      "{\"do_remote_decode\":true,\"do_remote_prefill\":false,\"remote_engine_id\":null,\"remote_block_ids\":null,"
      "\"remote_host\":null,\"remote_port\":null}");
  EXPECT_EQ(value_of(edits, "messages"), "untouched");
}

TEST(NixlPrefill, NamesTheLengthAsTheApiDoes) {
  const FieldEdits responses = nixl_prefill_edits(BodyKind::kResponses);
  EXPECT_EQ(value_of(responses, "max_output_tokens"), "1");
  EXPECT_EQ(value_of(responses, "max_tokens"), "untouched");
  const FieldEdits generate = nixl_prefill_edits(BodyKind::kGenerate);
  EXPECT_EQ(value_of(generate, "sampling_params.max_tokens"), "1");
  EXPECT_EQ(value_of(generate, "sampling_params.min_tokens"), "1");
  EXPECT_EQ(value_of(generate, "max_tokens"), "untouched");
}

TEST(NixlDecode, PassesThePrefillersWordsOnVerbatim) {
  const std::string params = R"({"do_remote_prefill":true, "remote_block_ids":[1,2],"remote_port":7777})";
  const auto edits = nixl_decode_edits("  " + params + "\n");
  ASSERT_TRUE(edits.has_value());
  EXPECT_EQ(*edits, (FieldEdits{{.path = "kv_transfer_params", .raw_json = params}}));
}

TEST(NixlDecode, IsNullWhenThePrefillerSaidNothing) {
  for (const std::string_view absent : {"", "  ", "null"}) {
    const auto edits = nixl_decode_edits(absent);
    ASSERT_TRUE(edits.has_value()) << absent;
    EXPECT_EQ(value_of(*edits, "kv_transfer_params"), "null") << absent;
  }
}

TEST(NixlDecode, RefusesWhatIsNoObjectAndWhatIsTooLong) {
  for (const std::string& bad :
       {std::string{"[1]"}, std::string{"\"x\""}, std::string{"{"}, "{" + std::string(kTransferParamsMax, ' ') + "}"}) {
    const auto edits = nixl_decode_edits(bad);
    ASSERT_FALSE(edits.has_value()) << bad.substr(0, 10);
    EXPECT_EQ(edits.error().code, ErrorCode::kProtocol);
  }
}

}  // namespace
}  // namespace llmd::pd
