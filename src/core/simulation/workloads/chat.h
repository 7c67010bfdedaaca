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

struct ChatOptions {
  GeneratorOptions common{};
  std::uint32_t system_prompts = 20;
  double system_zipf = 1;  // exponent of how often each is used
  LogNormal system_tokens{.median = 800, .sigma = 0.7, .min = 100, .max = 4'000};
  /// What the user writes, the answers, and how long he thinks.
  DialogOptions dialog{.turns_mean = 5,
                       .turns_max = 40,
                       .said_tokens = {.median = 60, .sigma = 1, .min = 4, .max = 4'000},
                       .answer_tokens = {.median = 200, .sigma = 0.8, .min = 8, .max = 2'000},
                       .pause_s = {.median = 15, .sigma = 1, .min = 1, .max = 600},
                       .context_tokens_max = 32'768};
};

/// People who talk with assistants: sessions of several turns over a few system prompts.
class ChatWorkload final : public Workload {
 public:
  explicit ChatWorkload(const ChatOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return generator_.block_tokens(); }

 private:
  Generator generator_;
  ArrivalProcess arrivals_;
  DialogOptions dialog_;
  ZipfDraw which_;
  std::vector<Text> system_prompts_;
};

}  // namespace llmd::simulation
