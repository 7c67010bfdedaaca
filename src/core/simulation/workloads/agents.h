#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulation/workload.h"
#include "simulation/workloads/arrivals.h"
#include "simulation/workloads/dialog.h"
#include "simulation/workloads/draws.h"
#include "simulation/workloads/generator.h"

namespace llmd::simulation {

struct AgentOptions {
  GeneratorOptions common{};
  std::uint32_t kinds = 8;
  double kinds_zipf = 1;  // exponent of how often each runs
  LogNormal system_tokens{.median = 6'000, .sigma = 0.5, .min = 2'000, .max = 20'000};  // instructions and tools
  LogNormal task_tokens{.median = 300, .sigma = 1, .min = 20, .max = 8'000};            // what the first turn says
  /// Later turns say a tool's result; the answers are calls; the pause is the tool's latency.
  DialogOptions dialog{.turns_mean = 12,
                       .turns_max = 60,
                       .said_tokens = {.median = 600, .sigma = 0.8, .min = 200, .max = 2'000},
                       .answer_tokens = {.median = 80, .sigma = 0.7, .min = 16, .max = 800},
                       .pause_s = {.median = 1, .sigma = 1, .min = 0.05, .max = 60},
                       .context_tokens_max = 131'072};
};

/// Agents in their tool loops: a long prompt that all agents of a kind share, then many short turns that follow each
/// other fast.
class AgentWorkload final : public Workload {
 public:
  explicit AgentWorkload(const AgentOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return generator_.block_tokens(); }

 private:
  Generator generator_;
  ArrivalProcess arrivals_;
  DialogOptions dialog_;
  LogNormal task_tokens_;
  ZipfDraw which_;
  std::vector<Text> kinds_;
};

}  // namespace llmd::simulation
