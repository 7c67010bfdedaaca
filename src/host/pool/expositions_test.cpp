// Pages of engines as they are found, from files that say where they come from, read to exactly these values: by the
// adapter of the engine, by the one that recognises it, and however the page is cut.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/rng.h"
#include "pool/engine_metrics.h"

namespace llmd::pool {
namespace {

struct Lora {
  std::vector<std::string> running;
  std::vector<std::string> waiting;
  std::uint32_t adapters_max = 0;
};

struct Case {
  std::string file;
  std::string_view engine;
  EngineReadings wanted;
  std::optional<Lora> lora{};
};

const Case kCases[] = {
    {"vllm-0.6.prom",
     "vllm",
     {.waiting_requests = 3,
      .running_requests = 12,
      .kv_usage = 0.375F,
      .kv_block_tokens = 16,
      .kv_blocks = 27'890,
      .prompt_tokens = 1'234'567,
      .generation_tokens = 345'678}},
    {"vllm-0.8.prom",
     "vllm",
     {.waiting_requests = 0,
      .running_requests = 7,
      .kv_usage = 0.0625F,
      .kv_block_tokens = 16,
      .kv_blocks = 24'576,
      .prompt_tokens = 64'000,
      .generation_tokens = 9'000,
      .prefix_query_tokens = 4'000,
      .prefix_hit_tokens = 1'000},
     Lora{{"sql", "tools"}, {"chat"}, 4}},
    {"vllm-0.10.prom",
     "vllm",
     {.waiting_requests = 1,
      .running_requests = 5,
      .kv_usage = 0.5F,
      .kv_block_tokens = 32,
      .kv_blocks = 9'000,
      .prompt_tokens = 12'000,
      .generation_tokens = 2'000,
      .prefix_query_tokens = 4'000,
      .prefix_hit_tokens = 1'000}},
    {"vllm-2026.prom",
     "vllm",
     {.waiting_requests = 6,
      .running_requests = 32,
      .kv_usage = 0.8125F,
      .kv_block_tokens = 16,
      .kv_blocks = 14'835,
      .prompt_tokens = 8e6,
      .generation_tokens = 1.5e6,
      .prefix_query_tokens = 8e6,
      .prefix_hit_tokens = 6e6}},
    {"sglang-0.5.6.prom",
     "sglang",
     {.waiting_requests = 2,
      .running_requests = 4,
      .kv_usage = 0.125F,
      .kv_block_tokens = 64,
      .kv_blocks = 2'816,
      .prompt_tokens = 80'000,
      .generation_tokens = 12'000,
      .prefix_query_tokens = 80'000,
      .prefix_hit_tokens = 40'000}},
    {"sglang-2026.prom",
     "sglang",
     {.waiting_requests = 2,
      .running_requests = 4,
      .kv_usage = 0.125F,
      .kv_block_tokens = 64,
      .kv_blocks = 2'816,
      .prompt_tokens = 80'000,
      .generation_tokens = 12'000,
      .prefix_query_tokens = 80'000,
      .prefix_hit_tokens = 40'000}},
    {"trtllm-serve-2026.prom",
     "trtllm-serve",
     {.waiting_requests = 5,
      .running_requests = 11,
      .kv_usage = 0.625F,
      .kv_block_tokens = 32,
      .kv_blocks = 6'239,
      .prompt_tokens = 50'000,
      .generation_tokens = 7'000,
      .prefix_query_tokens = 50'000,
      .prefix_hit_tokens = 20'000}},
    {"triton-tensorrt-llm.prom",
     "triton-tensorrt-llm",
     {.waiting_requests = 1, .running_requests = 2, .kv_usage = 0.25F, .kv_block_tokens = 64, .kv_blocks = 6'239}},
    {"triton.prom", "triton", {.waiting_requests = 3, .running_requests = 40}},
    {"llama-server-2026.prom",
     "llama-server",
     {.waiting_requests = 9,
      .running_requests = 4,
      .prompt_tokens = 6'000,
      .generation_tokens = 1'234'570,
      .prefix_query_tokens = 8'000,
      .prefix_hit_tokens = 2'000}},
    {"llama-server-2024.prom",
     "llama-server",
     {.waiting_requests = 0,
      .running_requests = 1,
      .kv_usage = 0.5F,
      .prompt_tokens = 100,
      .generation_tokens = 40,
      .prefix_query_tokens = 100}},
    {"tgi.prom",
     "tgi",
     {.waiting_requests = 6, .running_requests = 8, .prompt_tokens = 18'000, .generation_tokens = 12'500}},
    {"ovms.prom", "ovms", {.running_requests = 8}},
    {"lmdeploy.prom",
     "lmdeploy",
     {.waiting_requests = 1,
      .running_requests = 6,
      .kv_usage = 0.4375F,
      .prompt_tokens = 9'000,
      .generation_tokens = 1'500}},
    {"xllm.prom",
     "xllm",
     {.waiting_requests = 2,
      .running_requests = 3,
      .kv_usage = 0.3125F,
      .prompt_tokens = 4'000,
      .generation_tokens = 600}},
    {"mindie.prom",
     "mindie",
     {.waiting_requests = 2,
      .running_requests = 8,
      .kv_usage = 0.6875F,
      .prompt_tokens = 3'000,
      .generation_tokens = 500}},
    {"llmd-worker.prom",
     "llmd",
     {.waiting_requests = 0,
      .running_requests = 1,
      .kv_usage = 0.00016868420061655343F,
      .kv_block_tokens = 64,
      .kv_blocks = 18'711,
      .queued_tokens = 0.0F,
      .decode_tokens_left = 1.0F,
      .cpu_use = 0.0F,
      .memory_use = 0.0007543454266815948F,
      .prompt_tokens = 362,
      .generation_tokens = 237,
      .prefix_query_tokens = 618,
      .prefix_hit_tokens = 256}},
};

std::string page_of(const std::string& file) {
  std::ifstream in{std::filesystem::path{LLMD_EXPOSITIONS} / file};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void expect_readings(const EngineReadings& got, const Case& item) {
  EXPECT_EQ(got.waiting_requests, item.wanted.waiting_requests);
  EXPECT_EQ(got.running_requests, item.wanted.running_requests);
  EXPECT_EQ(got.kv_usage, item.wanted.kv_usage);
  EXPECT_EQ(got.kv_block_tokens, item.wanted.kv_block_tokens);
  EXPECT_EQ(got.kv_blocks, item.wanted.kv_blocks);
  EXPECT_EQ(got.queued_tokens, item.wanted.queued_tokens);
  EXPECT_EQ(got.decode_tokens_left, item.wanted.decode_tokens_left);
  EXPECT_EQ(got.cpu_use, item.wanted.cpu_use);
  EXPECT_EQ(got.memory_use, item.wanted.memory_use);
  EXPECT_EQ(got.prompt_tokens, item.wanted.prompt_tokens);
  EXPECT_EQ(got.generation_tokens, item.wanted.generation_tokens);
  EXPECT_EQ(got.prefix_query_tokens, item.wanted.prefix_query_tokens);
  EXPECT_EQ(got.prefix_hit_tokens, item.wanted.prefix_hit_tokens);
  EXPECT_TRUE(got.named.empty());
  ASSERT_EQ(got.lora != nullptr, item.lora.has_value());
  if (!item.lora) return;
  EXPECT_EQ(got.lora->running, item.lora->running);
  EXPECT_EQ(got.lora->waiting, item.lora->waiting);
  EXPECT_EQ(got.lora->adapters_max, item.lora->adapters_max);
}

TEST(Expositions, AreReadToExactlyTheseValues) {
  const MetricAdapters adapters{{}};
  for (const Case& item : kCases) {
    SCOPED_TRACE(item.file);
    const std::string page = page_of(item.file);
    ASSERT_FALSE(page.empty());
    EngineMetricsParser own{adapters.named(item.engine)};
    ASSERT_TRUE(own.feed(page));
    expect_readings(own.finish(), item);
    EngineMetricsParser any{adapters.any()};
    ASSERT_TRUE(any.feed(page));
    expect_readings(any.finish(), item);
    EXPECT_EQ(any.engine(), item.engine);
  }
}

TEST(Expositions, AreReadTheSameHoweverTheyAreCut) {
  const MetricAdapters adapters{{}};
  Rng rng{3};
  for (const Case& item : kCases) {
    SCOPED_TRACE(item.file);
    const std::string page = page_of(item.file);
    EngineMetricsParser parser{adapters.any()};
    for (std::string_view rest = page; !rest.empty();) {
      const std::string_view piece = rest.substr(0, 1 + rng.below(100));
      rest.remove_prefix(piece.size());
      ASSERT_TRUE(parser.feed(piece));
    }
    expect_readings(parser.finish(), item);
  }
}

TEST(Expositions, AllFilesAreReadAndSayWhereTheyComeFrom) {
  std::set<std::string> listed;
  for (const Case& item : kCases) listed.insert(item.file);
  for (const auto& entry : std::filesystem::directory_iterator{LLMD_EXPOSITIONS}) {
    const std::string file = entry.path().filename();
    if (entry.path().extension() != ".prom") continue;
    EXPECT_EQ(listed.erase(file), 1U) << file << " is read by no case";
    const std::string page = page_of(file);
    EXPECT_TRUE(page.starts_with("# source: assembled from ") || page.starts_with("# source: recorded from ")) << file;
  }
  EXPECT_TRUE(listed.empty()) << *listed.begin() << " is not there";
}

}  // namespace
}  // namespace llmd::pool
