// What each generator promises beyond what all do (catalog_test.cpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "simulation/workloads/agents.h"
#include "simulation/workloads/chat.h"
#include "simulation/workloads/documents.h"
#include "simulation/workloads/shared_prefix.h"
#include "simulation/workloads/tenants.h"
#include "simulation/workloads/uniform.h"

namespace llmd::simulation {
namespace {

std::vector<SimRequest> all_of(Workload& workload) {
  std::vector<SimRequest> requests;
  while (auto request = workload.next()) requests.push_back(std::move(*request));
  return requests;
}

std::size_t shared_blocks(const SimRequest& a, const SimRequest& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a.blocks, b.blocks).in1 - a.blocks.begin());
}

/// For each first block, how many requests begin with it.
std::map<std::uint64_t, int> by_beginning(const std::vector<SimRequest>& requests) {
  std::map<std::uint64_t, int> counts;
  for (const SimRequest& request : requests) ++counts[request.blocks.front()];
  return counts;
}

TEST(ChatWorkload, SharesExactlyTheWholeBlocksOfASystemPrompt) {
  // 1,000 tokens are 15 blocks of 64 and 40 tokens.
  ChatWorkload workload{
      {.common = {.requests = 2'000},
       .system_prompts = 2,
       .system_tokens = {.median = 1'000, .max = 1'000},
       .dialog = {.said_tokens = {.median = 100, .max = 100}, .answer_tokens = {.median = 100, .max = 100}}}};
  const std::vector<SimRequest> sessions = all_of(workload);
  ASSERT_EQ(by_beginning(sessions).size(), 2U);
  for (std::size_t i = 1; i < sessions.size(); ++i) {
    const bool alike = sessions[i].blocks.front() == sessions[0].blocks.front();
    ASSERT_EQ(shared_blocks(sessions[0], sessions[i]), alike ? 15U : 0U);
  }
}

TEST(ChatWorkload, UsesSystemPromptsAsZipfSays) {
  ChatWorkload workload{{.common = {.requests = 20'000}, .system_prompts = 3, .dialog = {}}};
  std::vector<int> counts;
  for (const auto& [block, count] : by_beginning(all_of(workload))) counts.push_back(count);
  std::ranges::sort(counts, std::greater{});
  ASSERT_EQ(counts.size(), 3U);
  const double sum = 1 + 1.0 / 2 + 1.0 / 3;
  EXPECT_NEAR(counts[0], 20'000 / sum, 500);
  EXPECT_NEAR(counts[1], 10'000 / sum, 500);
}

TEST(ChatWorkload, HasManySessionsOfSeveralTurns) {
  ChatWorkload workload{{.common = {.requests = 10'000}}};
  const double sessions = static_cast<double>(all_of(workload).size());
  EXPECT_NEAR(10'000 / sessions, 5, 0.4);
}

TEST(AgentWorkload, AddsAToolsResultToEachTurn) {
  AgentWorkload workload{{.common = {.requests = 2'000}}};
  std::size_t turns = 0;
  while (const auto first = workload.next()) {
    EXPECT_GE(first->prompt_tokens, 2'020U) << "instructions and a task";
    for (const SimRequest* turn = &*first; turn->next_turn != nullptr; turn = turn->next_turn.get()) {
      const std::uint32_t result = turn->next_turn->prompt_tokens - turn->prompt_tokens - turn->output_tokens;
      EXPECT_GE(result, 200U);
      EXPECT_LE(result, 2'000U);
      EXPECT_LE(turn->output_tokens, 800U);
      EXPECT_LE(turn->next_turn->arrival, seconds{60});
      ++turns;
    }
  }
  EXPECT_GT(turns, 1'500U);
}

TEST(SharedPrefixWorkload, BurstsHaveTheirShareAndEachANewPrefix) {
  const auto beginnings = [](double burst_share) {
    SharedPrefixWorkload workload{{.common = {.requests = 20'000}, .prefixes = 5, .burst_share = burst_share}};
    return by_beginning(all_of(workload)).size();
  };
  EXPECT_EQ(beginnings(0), 5U);
  // 20,000 x 0.3 / 60 = 100 bursts.
  EXPECT_NEAR(static_cast<double>(beginnings(0.3)), 105, 30);
}

TEST(SharedPrefixWorkload, RequestsOfABurstFollowEachOtherFast) {
  // With one old prefix, what begins otherwise is a burst's.
  SharedPrefixWorkload workload{{.common = {.requests = 4'000, .arrivals = {.rate_per_s = 10}},
                                 .prefixes = 1,
                                 .burst_share = 0.1,
                                 .burst_requests = 100,
                                 .burst_speed = 20}};
  const std::vector<SimRequest> requests = all_of(workload);
  std::unordered_map<std::uint64_t, std::vector<Duration>> arrivals;
  for (const SimRequest& request : requests) arrivals[request.blocks.front()].push_back(request.arrival);
  arrivals.erase(requests.front().blocks.front());
  std::size_t whole = 0;
  for (const auto& [block, times] : arrivals) {
    if (times.size() < 100) continue;  // cut by the last request
    EXPECT_LT(to_seconds(times[99] - times[0]), 1) << "100 at 200 a second";
    ++whole;
  }
  EXPECT_GE(whole, 2U);
  EXPECT_GE(whole + 1, arrivals.size());
}

TEST(LongDocumentWorkload, LetsSeveralSessionsReadEachDocument) {
  LongDocumentWorkload workload{{.common = {.requests = 6'000}}};
  const std::vector<SimRequest> sessions = all_of(workload);
  std::map<std::uint64_t, std::set<std::uint32_t>> readers;
  for (const SimRequest& session : sessions) {
    EXPECT_GE(session.prompt_tokens, 16'384U);
    EXPECT_LE(session.prompt_tokens, 65'536U + 1'000);
    readers[session.blocks.front()].insert(session.session);
  }
  EXPECT_NEAR(static_cast<double>(sessions.size()) / static_cast<double>(readers.size()), 4, 0.5);
}

TEST(LongDocumentWorkload, SharesTheWholeDocumentAndNoQuestion) {
  LongDocumentWorkload workload{{.common = {.requests = 40},
                                 .documents_open = 1,
                                 .document_tokens = {.median = 20'000, .max = 20'000},
                                 .readers_mean = 1e9,
                                 .readers_max = 1'000}};
  const std::vector<SimRequest> sessions = all_of(workload);
  for (std::size_t i = 1; i < sessions.size(); ++i) EXPECT_EQ(shared_blocks(sessions[0], sessions[i]), 20'000U / 64);
}

TEST(TenantsWorkload, GivesEachTenantItsRateAndClass) {
  TenantsOptions options{.common = {.requests = 20'000}};
  const std::vector<TenantOptions> tenants = options.tenants;
  TenantsWorkload workload{options};
  std::vector<int> counts(tenants.size());
  for (const SimRequest& request : all_of(workload)) {
    ASSERT_LT(request.tenant, tenants.size());
    ++counts[request.tenant];
    const ServiceClass& service = tenants[request.tenant].service;
    ASSERT_EQ(request.priority, service.priority);
    ASSERT_EQ(request.slo_ttft_ms, service.slo_ttft_ms);
    ASSERT_EQ(request.slo_tpot_ms, service.slo_tpot_ms);
  }
  double weights = 0;
  for (const TenantOptions& tenant : tenants) weights += tenant.rate_weight;
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    EXPECT_NEAR(counts[i] / 20'000.0, tenants[i].rate_weight / weights, 0.04) << i;
  }
}

TEST(TenantsWorkload, SharesPromptsWithinATenantOnly) {
  TenantsWorkload workload{{.common = {.requests = 2'000}}};
  std::map<std::uint64_t, std::set<std::uint32_t>> tenants_of_block;
  for (const SimRequest& request : all_of(workload)) {
    for (const std::uint64_t block : request.blocks) tenants_of_block[block].insert(request.tenant);
  }
  for (const auto& [block, tenants] : tenants_of_block) EXPECT_EQ(tenants.size(), 1U);
  TenantsWorkload again{{.common = {.requests = 2'000}}};
  EXPECT_EQ(by_beginning(all_of(again)).size(), default_tenants().size());
}

TEST(TenantsWorkload, LeavesOutTenantsThatAskNothing) {
  TenantsOptions options{.common = {.requests = 100}};
  for (TenantOptions& tenant : options.tenants) tenant.rate_weight = 0;
  EXPECT_FALSE(TenantsWorkload{options}.next());
  options.tenants[3].rate_weight = 1;
  TenantsWorkload workload{options};
  for (const SimRequest& request : all_of(workload)) EXPECT_EQ(request.tenant, 3U);
  options.tenants.clear();
  EXPECT_FALSE(TenantsWorkload{options}.next());
}

TEST(UniformWorkload, IsOfOneSizeAndSharesNothing) {
  UniformWorkload workload{{.common = {.requests = 500}, .prompt_tokens = 640, .output_tokens = 64}};
  std::set<std::uint64_t> blocks;
  for (const SimRequest& request : all_of(workload)) {
    EXPECT_EQ(request.prompt_tokens, 640U);
    EXPECT_EQ(request.output_tokens, 64U);
    blocks.insert(request.blocks.begin(), request.blocks.end());
  }
  EXPECT_EQ(blocks.size(), 500U * 11);
}

}  // namespace
}  // namespace llmd::simulation
