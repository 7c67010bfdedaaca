// Counts allocations of this program, so that a decision can be shown to make none. Sanitizers bring an operator new of
// their own, which must not be replaced: there the test is empty, and the release build counts.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LLMD_OPERATOR_NEW_IS_TAKEN
#endif
#endif

#ifndef LLMD_OPERATOR_NEW_IS_TAKEN
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "base/budget.h"
#include "scheduling/scheduler.h"
#include "scheduling/testing/pool.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};

void* allocate(std::size_t size) {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

namespace llmd::scheduling {
namespace {

std::uint64_t allocations_of_a_decision(SchedulingConfig config) {
  const auto scheduler = Scheduler::make(std::move(config));
  std::vector<testing::EndpointSpec> specs;
  for (int i = 0; i < 100; ++i)
    specs.push_back(
        {.name = fmt::format("e{}", i), .waiting = static_cast<std::uint32_t>(i % 7), .running = 3U, .kv_usage = 0.5F});
  const EndpointSnapshot snapshot = testing::make_snapshot(specs);
  Budget budget{"index", std::size_t{1} << 24U};
  PrefixIndex index{{}, budget};
  RequestFacts request{.model = "m", .prompt_tokens = 4'096};
  for (std::uint64_t i = 1; i <= 64; ++i) request.prefix.hashes.push_back(i);
  request.prefix.block_tokens = 64;
  index.insert("e3", request.prefix);
  DecisionScratch scratch;
  Rng rng{1};
  struct : PluginTiming {
    void begin() noexcept override {}
    void end(std::size_t /*place*/) noexcept override { ++calls; }
    int calls = 0;
  } timing;
  const DecisionInput input{
      .request = request, .snapshot = snapshot, .index = index, .now = testing::kNow, .timing = &timing};
  for (int i = 0; i < 3; ++i) (void)scheduler->decide(input, rng, scratch, nullptr);  // memory is taken once
  allocations = 0;
  counting = true;
  const Decision decision = scheduler->decide(input, rng, scratch, nullptr);
  counting = false;
  EXPECT_EQ(decision.outcome, Decision::Outcome::kDispatch);
  EXPECT_GT(timing.calls, 0);
  return allocations;
}

SchedulingConfig many_scorers() {
  SchedulingConfig config;
  for (const char* type :
       {"queue-scorer", "kv-cache-utilization-scorer", "prefix-cache-scorer", "load-aware-scorer",
        "running-requests-size-scorer", "active-request-scorer", "token-load-scorer", "latency-scorer",
        "lora-affinity-scorer", "error-rate-scorer", "network-latency-scorer", "cold-start-scorer", "cache-hit-scorer",
        "kv-capacity-scorer", "cost-scorer", "decode-filter", "label-selector-filter"})
    config.plugins.push_back({.type = type});
  return config;
}

TEST(Decide, AllocatesOnlyTheListOfFallbacks) {
  EXPECT_EQ(allocations_of_a_decision({}), 1U);
  EXPECT_EQ(allocations_of_a_decision(many_scorers()), 1U);
}

TEST(Decide, AllocatesNothingWithoutFallbacks) {
  SchedulingConfig plain;
  plain.fallbacks_max = 0;
  EXPECT_EQ(allocations_of_a_decision(plain), 0U);
  SchedulingConfig many = many_scorers();
  many.fallbacks_max = 0;
  EXPECT_EQ(allocations_of_a_decision(many), 0U);
}

// Between samples, and with one: what is remembered of endpoints was made when they came.
TEST(Decide, AllocatesNothingForForecastsOfKnownEndpoints) {
  for (const char* model : {"ewma", "holt-winters", "ar", "lstm"}) {
    SCOPED_TRACE(model);
    SchedulingConfig config;
    config.fallbacks_max = 0;
    config.plugins.push_back({.type = "load-forecast-scorer"});
    config.plugins.front().parameters.set("model", std::string{model});
    const auto scheduler = Scheduler::make(std::move(config));
    const SchedulerMemory memory = scheduler->make_memory(nullptr);
    std::vector<testing::EndpointSpec> specs;
    for (int i = 0; i < 100; ++i) specs.push_back({.name = fmt::format("e{}", i)});
    const EndpointSnapshot snapshot = testing::make_snapshot(specs);
    Budget budget{"index", std::size_t{1} << 20U};
    PrefixIndex index{{}, budget};
    const RequestFacts request{.model = "m", .prompt_tokens = 100};
    DecisionScratch scratch;
    Rng rng{1};
    const auto decide = [&](Duration since) {
      const DecisionInput input{
          .request = request, .snapshot = snapshot, .index = index, .now = testing::kNow + since, .memory = &memory};
      return scheduler->decide(input, rng, scratch, nullptr).outcome;
    };
    for (int second = 0; second < 40; ++second) (void)decide(seconds{second});
    allocations = 0;
    counting = true;
    const auto with_sample = decide(seconds{40});
    const auto without = decide(milliseconds{40'500});
    counting = false;
    EXPECT_EQ(with_sample, Decision::Outcome::kDispatch);
    EXPECT_EQ(without, Decision::Outcome::kDispatch);
    EXPECT_EQ(allocations, 0U);
  }
}

}  // namespace
}  // namespace llmd::scheduling
#endif
