// A recorded log replayed with the choices that it tells.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "simulation/fleet.h"
#include "simulation/policies/recorded_policy.h"
#include "simulation/workloads/recorded_log.h"

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kEndpoints = 6;

std::vector<RecordedRow> rows(std::size_t count) {
  Rng rng{7};
  std::vector<RecordedRow> made;
  for (std::size_t i = 0; i < count; ++i) {
    made.push_back({.timestamp_ms = 50 * i,
                    .input_tokens = 600,
                    .output_tokens = 30,
                    .block_tokens = 64,
                    .block_ids = std::vector<std::uint64_t>(600 / 64, i + 1),
                    .endpoint = "worker-" + std::to_string(rng.below(kEndpoints))});
  }
  return made;
}

TEST(RecordedFleet, SendsEachRequestWhereItWentEvenToASlowEndpoint) {
  const auto log = RecordedLog::in_order(rows(4'000));
  ASSERT_TRUE(log) << log.error().to_string();
  RecordedLog workload{*log};
  RecordedPolicy policy;
  FleetOptions options{.endpoints = kEndpoints,
                       .faults = {{.at = seconds{20}, .endpoint = 2, .kind = Fault::Kind::kSlows, .factor = 4}}};
  const FleetResult result = run_fleet(options, workload, policy);
  ASSERT_EQ(result.requests.size(), (*log)->size());
  EXPECT_FALSE(result.share_changes.empty()) << "the twin's outlier detection sees it, too";
  for (const RequestResult& request : result.requests) {
    const std::string& recorded = (**log)[request.id - 1].endpoint;
    ASSERT_EQ("worker-" + std::to_string(request.endpoint), recorded) << request.id;
  }
}

}  // namespace
}  // namespace llmd::simulation
