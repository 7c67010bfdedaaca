#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "simulation/workload.h"
#include "simulation/workloads/generator.h"
#include "simulation/workloads/shared_prefix.h"

namespace llmd::simulation {

/// The two halves of the time. The defaults want opposite weights.
struct FlipOptions {
  GeneratorOptions common{};
  /// Long documents, many, all asked about alike: each endpoint can keep a part of them, so who has one must get its
  /// questions.
  SharedPrefixOptions first{.common = {},
                            .prefixes = 400,
                            .prefixes_zipf = 0.3,
                            .prefix_tokens = {.median = 8'192, .max = 8'192},
                            .question_tokens = {.median = 200, .sigma = 0.6, .min = 8, .max = 2'000},
                            .answer_tokens = {.median = 120, .sigma = 0.5, .min = 8, .max = 1'000},
                            .burst_share = 0};
  /// Short system prompts, asked in bursts, with long answers: who follows the cache piles a burst on one endpoint,
  /// though what is cached is soon computed anew.
  double second_rate = 2.5;  // requests a second in the second half, by those in the first; above 0
  SharedPrefixOptions second{.common = {},
                             .prefixes = 12,
                             .prefixes_zipf = 1.5,
                             .prefix_tokens = {.median = 1'024, .max = 1'024},
                             .question_tokens = {.median = 60, .sigma = 0.6, .min = 8, .max = 1'000},
                             .answer_tokens = {.median = 500, .sigma = 0.8, .min = 8, .max = 4'000},
                             .burst_share = 0.8,
                             .burst_requests = 400,
                             .burst_speed = 3};
};

/// Traffic whose best weights change at half time.
class FlipWorkload final : public Workload {
 public:
  explicit FlipWorkload(const FlipOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return first_.block_tokens(); }

 private:
  std::uint64_t first_count_;
  SharedPrefixWorkload first_;
  SharedPrefixWorkload second_;
  Duration half_time_{};
};

}  // namespace llmd::simulation
