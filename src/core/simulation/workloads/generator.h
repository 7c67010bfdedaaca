#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/rng.h"
#include "simulation/workload.h"
#include "simulation/workloads/arrivals.h"
#include "simulation/workloads/block_chain.h"
#include "simulation/workloads/lengths.h"

namespace llmd::simulation {

/// What the options of all generators have in common.
struct GeneratorOptions {
  std::uint64_t requests = 10'000;  // in all, later turns counted; the last session is cut short there
  std::uint64_t seed = 1;
  std::uint32_t block_tokens = 64;  // the scheduler's smallest prefix block; 0 counts as 1
  /// The rate is that of requests, later turns counted: sessions come at the rate divided by the mean of their turns.
  ArrivalOptions arrivals{};
};

/// What a generator draws from: numbers, fresh texts, and the requests that are left. Not thread-safe.
class Generator {
 public:
  explicit Generator(const GeneratorOptions& options) noexcept;

  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept { return block_tokens_; }
  [[nodiscard]] Rng& rng() noexcept { return rng_; }
  /// A seed for a stream of its own, so that its draws do not move the others'.
  [[nodiscard]] std::uint64_t fork(std::uint64_t stream) const noexcept;

  /// A text that nobody has yet.
  [[nodiscard]] Text fresh_text(const LogNormal& tokens) noexcept;
  [[nodiscard]] Text fresh_text(std::uint32_t tokens) noexcept;
  /// Numbers from 1. Pre of the first: left() > 0.
  [[nodiscard]] std::uint64_t take_request() noexcept;
  [[nodiscard]] std::uint32_t take_session() noexcept { return ++sessions_; }

 private:
  std::uint64_t seed_;
  Rng rng_;
  std::uint64_t left_;
  std::uint64_t requests_ = 0;
  std::uint32_t sessions_ = 0;
  std::uint32_t block_tokens_;
};

/// A request without turns after it: prompt and a fresh answer. `who` gives all but the number, times, lengths and
/// blocks. Pre: generator.left() > 0.
[[nodiscard]] SimRequest single_request(SimRequest who, Duration arrival, BlockChain prompt, Text answer,
                                        Generator& generator);

}  // namespace llmd::simulation
