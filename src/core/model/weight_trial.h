#pragma once

#include <cstdint>

namespace llmd {

/// Which weights a decision was made with while weights are learned: kept with it, so that the outcome counts for them.
struct WeightTrial {
  bool made = false;       // somebody learns
  bool counts = false;     // the outcome tells of these weights, not of those before them
  std::uint8_t slice = 0;  // of the round: its arm
  std::uint32_t round = 0;
  float reuse = 0;  // share of the prompt that some endpoint holds
  float ttft_objective_ms = 0;
  float tpot_objective_ms = 0;
};

}  // namespace llmd
