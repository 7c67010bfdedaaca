#include "apps/sim/calibrate.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "config/hardware_profile.h"

namespace llmd::sim {
namespace {

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
  EXPECT_EQ(text->find("Beside"), std::string::npos) << "nothing of it was measured";
  calibration.fit.profile.step_s = 11;
  const auto beyond = calibration_file(calibration);
  ASSERT_FALSE(beyond);
  EXPECT_NE(beyond.error().what.find("step_s is 11"), std::string::npos) << beyond.error().what;
}

TEST(CalibrationFile, SaysHowFarTheSlowdownsScattered) {
  Calibration calibration{.url = "http://a:1", .neighbours = 1, .sharing = 2};
  calibration.beside_none = {.times = 1.01, .least = 0.99, .most = 1.02, .passes = 8};
  calibration.beside_neighbours = {.times = 1.04, .least = 1.02, .most = 1.07, .passes = 9};
  calibration.beside_sharing = {.times = 3.2, .least = 3.1, .most = 3.5, .passes = 4};
  calibration.fit.profile.neighbour_slowdown = 0.04;
  const auto text = calibration_file(calibration);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_NE(text->find("# A mix of both takes 1.010 times what the fit says, and so do all costs below: 0.990 to 1.020 "
                       "in 8 passes.\n"
                       "# Beside 1 busy on other cores all takes 1.040 times as long: 1.020 to 1.070 in 9 passes.\n"
                       "# Beside 2 busy on its core and 1 on others all takes 3.200 times as long: 3.100 to 3.500 in 4 "
                       "passes.\n"),
            std::string::npos)
      << *text;
  const auto read = config::parse_hardware_profile(*text, "text");
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->neighbour_slowdown, 0.04);
}

}  // namespace
}  // namespace llmd::sim
