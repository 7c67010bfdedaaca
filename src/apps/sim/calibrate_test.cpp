#include "apps/sim/calibrate.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "config/hardware_profile.h"

namespace llmd::sim {
namespace {

ProbeAnswer answer(std::uint32_t prompt_tokens, milliseconds first, std::size_t tokens, milliseconds apart) {
  ProbeAnswer made{.prompt_tokens = prompt_tokens};
  for (std::size_t i = 0; i < tokens; ++i) made.tokens.push_back(TimePoint{} + first + static_cast<int>(i) * apart);
  return made;
}

TEST(DecodeSample, IsWhatAStepTookWhileAllDecoded) {
  // The second begins later; before that the first had quicker steps.
  ProbeAnswer first = answer(100, milliseconds{0}, 5, milliseconds{2});
  for (int i = 0; i < 20; ++i) first.tokens.push_back(TimePoint{} + milliseconds{20 + i * 10});
  const ProbeAnswer second = answer(200, milliseconds{20}, 20, milliseconds{10});
  const auto sample = decode_sample({first, second});
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->kind, simulation::CostSample::Kind::kDecode);
  EXPECT_NEAR(sample->seconds, 0.010, 1e-9);
  EXPECT_EQ(sample->decode_sequences, 2);
  EXPECT_NEAR(sample->decode_kilotokens, 0.1 + 0.015 + 0.2 + 0.010, 1e-9);
  EXPECT_EQ(sample->steps, 1);
}

TEST(DecodeSample, IsNothingIfTheyHardlyDecodedTogether) {
  const ProbeAnswer first = answer(10, milliseconds{0}, 12, milliseconds{10});
  EXPECT_FALSE(decode_sample({first, answer(10, milliseconds{80}, 12, milliseconds{10})}));
  EXPECT_FALSE(decode_sample({first, ProbeAnswer{}}));
  EXPECT_FALSE(decode_sample({answer(10, milliseconds{0}, 3, milliseconds{1})}));
}

TEST(ChunkOf, IsASizeThatServersHave) {
  EXPECT_EQ(chunk_of(2'050, 9), 256U);
  EXPECT_EQ(chunk_of(2'048, 4), 512U);
  EXPECT_EQ(chunk_of(1'000, 1), 1'024U);
  EXPECT_EQ(chunk_of(1'000, 7), 143U) << "no usual one";
  EXPECT_EQ(chunk_of(10, 0), 0U);
  EXPECT_EQ(chunk_of(10, 11), 0U);
}

TEST(TakeEvent, CountsPiecesOfTextAndReadsTheUsage) {
  ProbeAnswer answer;
  const auto take = [&](std::string_view data) { return take_event(data, TimePoint{} + seconds{1}, answer); };
  EXPECT_TRUE(*take(R"({"choices":[{"text":"a"}],"usage":null})"));
  EXPECT_TRUE(*take(R"({"choices":[{"text":"","finish_reason":"length"}]})"));
  EXPECT_TRUE(*take(R"({"choices":[],"usage":{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":5}}})"));
  EXPECT_FALSE(*take("[DONE]"));
  EXPECT_EQ(answer.tokens.size(), 1U);
  EXPECT_EQ(answer.prompt_tokens, 7U);
  EXPECT_EQ(answer.cached_tokens, 5U);
  for (const std::string_view odd : {R"({"choices":7})", R"({"choices":[7]})", R"({"choices":[{"text":7}]})", "{}",
                                     R"({"usage":{"prompt_tokens":-1}})"}) {
    EXPECT_TRUE(take(odd)) << odd;
  }
  EXPECT_EQ(take("[]").error().code, ErrorCode::kProtocol);
  EXPECT_EQ(take(R"({"error":{"message":"x"}})").error().code, ErrorCode::kUpstreamFailed);
}

TEST(ReadMetrics, FindsSizesUnderVllmsNamesAndOurs) {
  EndpointFacts facts;
  read_metrics(R"(# HELP vllm:cache_config_info x
vllm:cache_config_info{model_name="m",block_size="32",num_gpu_blocks="2560",num_cpu_blocks="1456"} 1
llmd_worker_slots{model_name="m",tokens_max="1280"} 32
llmd_worker_slots{model_name="m",tokens_max="512"} 64
llmd_worker_llama_steps{model_name="m"} 1
vllm:iteration_tokens_total_count{model_name="m"} 12)",
               facts);
  EXPECT_EQ(facts.block_tokens, 32U);
  EXPECT_EQ(facts.kv_tokens, 81'920U);
  EXPECT_EQ(facts.store_tokens, 46'592U);
  EXPECT_EQ(facts.slots,
            (std::vector<batching::SlotClass>{{.slots = 64, .tokens_max = 512}, {.slots = 32, .tokens_max = 1'280}}));
  EXPECT_TRUE(facts.llama_steps);
  EXPECT_EQ(facts.steps, 12);

  EndpointFacts of_vllm;
  read_metrics("vllm:cache_config_info{block_size=\"16\",num_cpu_blocks=\"None\",num_gpu_blocks=\"1000\"} 1.0\n",
               of_vllm);
  EXPECT_EQ(of_vllm.kv_tokens, 16'000U);
  EXPECT_EQ(of_vllm.store_tokens, 16'000U) << "its cache lies among the running blocks";
  EXPECT_FALSE(of_vllm.llama_steps);
}

TEST(ReadMetrics, KeepsWithinWhatAProfileMaySay) {
  EndpointFacts facts;
  read_metrics(R"(vllm:cache_config_info{block_size="70000",num_gpu_blocks="99999999999999999999999"} 1
llmd_worker_slots{tokens_max="4294967296"} 4294967296
llmd_worker_slots{tokens_max="512"} 8
llmd_worker_slots{tokens_max="512"} 4
llmd_worker_slots{tokens_max="0"} 4
)",
               facts);
  EXPECT_EQ(facts.block_tokens, 4'096U);
  EXPECT_EQ(facts.slots, (std::vector<batching::SlotClass>{{.slots = 8, .tokens_max = 512},
                                                           {.slots = 65'536, .tokens_max = 16'777'216}}));
}

TEST(CalibrationFile, IsOneThatProfileTakes) {
  Calibration calibration{.url = "http://a:1", .seconds_taken = 60};
  calibration.fit.profile.decode_sequence_per_kilotoken_s = 0.7;
  const auto text = calibration_file(calibration);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_TRUE(config::parse_hardware_profile(*text, "text"));
  calibration.fit.profile.step_s = 11;
  const auto beyond = calibration_file(calibration);
  ASSERT_FALSE(beyond);
  EXPECT_NE(beyond.error().what.find("step_s is 11"), std::string::npos) << beyond.error().what;
}

}  // namespace
}  // namespace llmd::sim
