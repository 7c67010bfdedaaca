#include "config/hardware_profile.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace llmd::config {
namespace {

TEST(HardwareProfileFile, ReadsBackWhatItWrites) {
  simulation::HardwareProfile profile;
  profile.name = "http://a:1 of now";
  profile.step_s = 0.0123456789;
  profile.decode_sequence_per_kilotoken_s = 1.0e-9;
  profile.batching.classes = {{.slots = 3, .tokens_max = 512}, {.slots = 1, .tokens_max = 8'192}};
  profile.batching.block_tokens = 32;
  profile.llama_steps = true;
  profile.store_tokens = 7;
  profile.neighbour_slowdown = 0.034;
  profile.sharing_slowdown = 0.06;
  const std::string yaml = hardware_profile_yaml(profile);
  const auto again = parse_hardware_profile(yaml, "text");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(hardware_profile_yaml(*again), yaml);
  EXPECT_EQ(again->step_s, profile.step_s);
  EXPECT_EQ(again->batching.classes, profile.batching.classes);
  EXPECT_TRUE(again->llama_steps);
  EXPECT_EQ(again->neighbour_slowdown, 0.034);
  EXPECT_EQ(again->sharing_slowdown, 0.06);
}

TEST(HardwareProfileFile, SaysWhichSlowdownIsBeyondItsRange) {
  const auto above = parse_hardware_profile("step_s: 1\nneighbour_slowdown: 11", "text");
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().code, ErrorCode::kConfigInvalid);
  EXPECT_NE(above.error().what.find("neighbour_slowdown is 11; expected 0 to 10"), std::string::npos)
      << above.error().what;
  const auto below = parse_hardware_profile("sharing_slowdown: -0.1", "text");
  ASSERT_FALSE(below);
  EXPECT_NE(below.error().what.find("sharing_slowdown is -0.1; expected 0 to 10"), std::string::npos)
      << below.error().what;
}

TEST(HardwareProfileFile, TakesWhatASlowCoreNeeds) {
  const auto slow = parse_hardware_profile(
      "{step_s: 2, prefill_token_s: 0.5, prefill_token_per_kilotoken_s: 0.02, decode_sequence_per_kilotoken_s: 0.8}",
      "text");
  ASSERT_TRUE(slow) << slow.error().to_string();
  EXPECT_EQ(slow->decode_sequence_per_kilotoken_s, 0.8);
  EXPECT_FALSE(parse_hardware_profile("decode_sequence_per_kilotoken_s: 1.1", "text"));
}

TEST(HardwareProfileFile, KnowsTheBuiltInOne) {
  const auto gpu = find_hardware_profile("gpu");
  ASSERT_TRUE(gpu);
  EXPECT_EQ(hardware_profile_yaml(*gpu), hardware_profile_yaml({}));
  const auto missing = find_hardware_profile("no-such-file.yaml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kFileNotFound);
}

TEST(HardwareProfileFile, RefusesWhatCannotBe) {
  for (const std::string_view text :
       {"step_s: 0", "step_s: .nan", "slots: []", "slots: [{slots: 1}]", "llama_steps: 3", "block_tokens: 0",
        "block_tokens: 5000", "nothing: 1", "slots: [{slots: 1, tokens_max: 9}, {slots: 1, tokens_max: 9}]"}) {
    const auto read = parse_hardware_profile(text, "text");
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kConfigInvalid) << text;
  }
}

}  // namespace
}  // namespace llmd::config
