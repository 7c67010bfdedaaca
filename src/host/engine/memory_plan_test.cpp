#include "engine/memory_plan.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/rng.h"
#include "engine/testing/small_model.h"

namespace llmd::engine {
namespace {

using testkit::small_model;

std::uint64_t total(const MemoryPlan& plan, const MemoryShare& share) {
  return plan.need.shared_weights + plan.need.own() * share.engines;
}

TEST(PlanMemory, TakesWhatItWantsOnALargeMachine) {
  const auto plan = plan_memory(small_model(), {}, {.available = 64'000 * kMiB});
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->need.store, kStoreBytesDefault);
  EXPECT_EQ(plan->context_tokens, 8'192U);
  EXPECT_FALSE(plan->shrunk);
}

TEST(PlanMemory, ShrinksWhatWasNotAskedForUntilAllWorkersFit) {
  for (const std::uint32_t engines : {1U, 2U, 3U, 4U}) {
    SCOPED_TRACE(engines);
    const MemoryShare share{.available = 3'000 * kMiB, .engines = engines};
    const auto plan = plan_memory(small_model(), {}, share);
    ASSERT_TRUE(plan) << plan.error().to_string();
    EXPECT_LE(total(*plan, share), share.available);
    EXPECT_TRUE(plan->shrunk);
    EXPECT_GE(plan->need.kv, 180 * kMiB) << "one sequence of the whole context always fits";
  }
}

TEST(PlanMemory, GoesDownToNoStoreBeforeItRefuses) {
  const auto plan = plan_memory(small_model(), {}, {.available = 490 * kMiB});
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->need.store, 0U);
  EXPECT_EQ(plan->need.kv, 180 * kMiB);
}

TEST(PlanMemory, APlanAskedForByItsNumbersIsTheSamePlan) {
  const MemoryShare share{.available = 4'000 * kMiB, .engines = 3};
  const auto chosen = plan_memory(small_model(), {}, share);
  ASSERT_TRUE(chosen);
  const auto asked = plan_memory(small_model(), {.kv_bytes = chosen->kv_bytes, .store_bytes = chosen->need.store},
                                 {.available = share.available / 3 + 98 * kMiB});
  ASSERT_TRUE(asked) << asked.error().to_string();
  EXPECT_EQ(asked->classes, chosen->classes);
  EXPECT_EQ(asked->need.store, chosen->need.store);
}

TEST(PlanMemory, PacksWeightsUnlessTheCopiesTakeTooMuch) {
  llamacpp::ModelFacts model = small_model();
  model.weights_bytes = model.packed_bytes = 300 * kMiB;  // its head, which is its embedding too, is packed as well
  struct Row {
    const char* name;
    MemoryShare share;
    Weights weights;
  };
  const Row table[] = {
      {"one engine has them once either way", {.available = 700 * kMiB}, Weights::kPacked},
      {"two copies on a large machine", {.available = 8'000 * kMiB, .engines = 2}, Weights::kPacked},
      {"a copy more than a quarter", {.available = 1'200 * kMiB - 1, .engines = 2}, Weights::kMapped},
      {"no room for the head twice", {.available = 580 * kMiB}, Weights::kMapped},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto plan = plan_memory(model, {.kv_bytes = 64 * kMiB, .context_tokens = 2'048}, row.share);
    ASSERT_TRUE(plan) << plan.error().to_string();
    EXPECT_EQ(plan->weights, row.weights);
    EXPECT_EQ(plan->need.own_weights, row.weights == Weights::kPacked ? model.packed_bytes : 0);
    const auto other = row.weights == Weights::kPacked ? Weights::kMapped : Weights::kPacked;
    const auto asked =
        plan_memory(model, {.kv_bytes = 64 * kMiB, .context_tokens = 2'048, .weights = other}, row.share);
    EXPECT_TRUE(!asked || asked->weights == other) << "what is asked for is given or refused";
  }
}

TEST(PlanMemory, RefusesWithTheNumbersAndTheFlagThatHelps) {
  struct Row {
    const char* name;
    MemoryRequest request;
    MemoryShare share;
    const char* what;
    const char* hint;
  };
  const Row table[] = {
      {"store of one",
       {.kv_bytes = 200 * kMiB, .store_bytes = 2'048 * kMiB},
       {.available = 2'000 * kMiB},
       "only 2000 MiB are available",
       "lower --store-memory to 14"},
      {"kv of one",
       {.kv_bytes = 2'048 * kMiB},
       {.available = 2'000 * kMiB},
       "only 2000 MiB are available",
       "lower --kv-memory to 1"},
      {"both",
       {.kv_bytes = 2'048 * kMiB, .store_bytes = 1'024 * kMiB},
       {.available = 600 * kMiB},
       "block store 1024 MiB",
       "lower --kv-memory and --store-memory"},
      {"stores of two",
       {.kv_bytes = 200 * kMiB, .store_bytes = 1'024 * kMiB},
       {.available = 2'000 * kMiB, .engines = 2},
       "2 workers need ",
       "lower --store-memory to 4"},
      {"too many workers",
       {},
       {.available = 1'000 * kMiB, .engines = 8},
       "8 workers need ",
       "start fewer workers (2 would fit), or lower --context"},
      {"copies of the weights",
       {.weights = Weights::kCopied},
       {.available = 700 * kMiB, .engines = 2},
       "block store 0 MiB; each)",
       "start fewer workers (1 would fit), or lower --context"},
      {"a packed head beside the embedding",
       {.weights = Weights::kPacked},
       {.available = 490 * kMiB},
       "the model needs ",
       "give --weights mapped"},
      {"nothing fits", {}, {.available = 200 * kMiB}, "the model needs ", "lower --context, or take a smaller model"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto plan = plan_memory(small_model(), row.request, row.share);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code, ErrorCode::kOutOfMemory);
    EXPECT_NE(plan.error().what.find(row.what), std::string::npos) << plan.error().what;
    EXPECT_NE(plan.error().hint.find(row.hint), std::string::npos) << plan.error().hint;
  }
}

TEST(PlanMemory, CountsOnlyWeightsOfAModelThatMakesEmbeddings) {
  llamacpp::ModelFacts model = small_model();
  model.generates = false;
  EXPECT_TRUE(plan_memory(model, {}, {.available = 129 * kMiB}));
  const auto refused = plan_memory(model, {.weights = Weights::kPacked}, {.available = 200 * kMiB, .engines = 2});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().hint, "give --weights mapped");
  const auto copied = plan_memory(model, {.weights = Weights::kCopied}, {.available = 150 * kMiB, .engines = 2});
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().hint, "start fewer workers (1 would fit)");
}

TEST(PlanMemory, RefusesAContextBeyondTheTrainedOneUnlessAllowed) {
  MemoryRequest request{.context_tokens = 8'193};
  const auto refused = plan_memory(small_model(), request, {.available = 64'000 * kMiB});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConfigInvalid);
  EXPECT_NE(refused.error().hint.find("--context 8192"), std::string::npos) << refused.error().hint;
  request.allow_long_context = true;
  EXPECT_TRUE(plan_memory(small_model(), request, {.available = 64'000 * kMiB}));
}

TEST(PlanMemory, WhatFollowsItsHintFits) {
  const MemoryShare share{.available = 2'000 * kMiB, .engines = 2};
  MemoryRequest request{.kv_bytes = 200 * kMiB, .store_bytes = 1'024 * kMiB};
  const auto refused = plan_memory(small_model(), request, share);
  ASSERT_FALSE(refused);
  const std::string& hint = refused.error().hint;
  request.store_bytes = std::stoull(hint.substr(hint.rfind(' ') + 1)) * kMiB;
  EXPECT_TRUE(plan_memory(small_model(), request, share)) << hint;
}

TEST(PlanMemory, NeverGoesBeyondTheMachine) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    llamacpp::ModelFacts model = small_model();
    model.weights_bytes = (1 + rng.below(8'000)) * kMiB;
    model.packed_bytes = rng.below(10) * model.weights_bytes / 10;
    model.mapped_bytes = model.weights_bytes - rng.below(2) * model.packed_bytes;
    model.kv_bytes_per_token = 1 + rng.below(200'000);
    model.plain_kv = rng.below(4) > 0;
    const MemoryShare share{.available = (1 + rng.below(32'000)) * kMiB,
                            .engines = static_cast<std::uint32_t>(1 + rng.below(8))};
    MemoryRequest request{.context_tokens = static_cast<std::uint32_t>(rng.below(2) * (1 + rng.below(100'000))),
                          .allow_long_context = true};
    if (rng.below(2) > 0) request.weights = static_cast<Weights>(rng.below(3));
    if (rng.below(2) > 0) request.kv_bytes = rng.below(8'000) * kMiB;
    if (rng.below(2) > 0) request.store_bytes = rng.below(4'000) * kMiB;
    const auto plan = plan_memory(model, request, share);
    if (!plan) {
      EXPECT_FALSE(plan.error().hint.empty());
      continue;
    }
    EXPECT_LE(total(*plan, share), share.available);
    if (!model.plain_kv) {
      EXPECT_EQ(plan->need.store, 0U);
    }
    if (request.store_bytes && model.plain_kv) {
      EXPECT_EQ(plan->need.store, *request.store_bytes);
    }
  }
}

/// A folder that stands for / with what a kernel would show.
class AvailableMemory : public testing::Test {
 protected:
  AvailableMemory() { put("proc/meminfo", "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\nBuffers: 5 kB\n"); }
  ~AvailableMemory() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream{root_ / path} << text;
  }

  const std::filesystem::path root_ =
      std::filesystem::path{testing::TempDir()} / ("memory-limit-" + std::to_string(::getpid()));
};

TEST_F(AvailableMemory, IsTheMachinesWithoutACgroup) { EXPECT_EQ(available_memory_bytes(root_), 2'048U * 1'024); }

TEST_F(AvailableMemory, IsTheTightestCgroupOnTheWayUp) {
  put("proc/self/cgroup", "1:cpu:/\n0::/outer/inner\n");
  put("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  put("sys/fs/cgroup/outer/inner/memory.current", "5\n");
  put("sys/fs/cgroup/outer/memory.max", "1000000\n");
  put("sys/fs/cgroup/outer/memory.current", "400000\n");
  EXPECT_EQ(available_memory_bytes(root_), 600'000U);
}

TEST_F(AvailableMemory, CountsFilesThatTheKernelCanDropAsFree) {
  put("proc/self/cgroup", "0::/one\n");
  put("sys/fs/cgroup/one/memory.max", "1000000\n");
  put("sys/fs/cgroup/one/memory.current", "400000\n");
  put("sys/fs/cgroup/one/memory.stat", "anon 90000\nfile 310000\nactive_file 200000\ninactive_file 100000\n");
  EXPECT_EQ(available_memory_bytes(root_), 900'000U);
}

TEST(AddressSpace, IsCountedWhereItIsLimited) {
  std::uint64_t pages = 0;
  ASSERT_TRUE(std::ifstream{"/proc/self/statm"} >> pages);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + 256 * kMiB;
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
  const std::uint64_t available = available_memory_bytes();
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_LE(available, 256 * kMiB);
  EXPECT_GT(available, 200 * kMiB);
}

}  // namespace
}  // namespace llmd::engine
