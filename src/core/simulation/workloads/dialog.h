#pragma once

#include <cstdint>

#include "simulation/workload.h"
#include "simulation/workloads/draws.h"
#include "simulation/workloads/generator.h"

namespace llmd::simulation {

/// Sessions of several turns: each prompt is all that was said and answered before, and what is said now.
struct DialogOptions {
  double turns_mean = 1;                       // geometric
  std::uint32_t turns_max = 1;                 // at most kTurnsMax
  LogNormal said_tokens{};                     // what each turn adds to the history
  LogNormal answer_tokens{};                   // output
  LogNormal pause_s{};                         // from the end of an answer to the next turn
  std::uint32_t context_tokens_max = 131'072;  // a turn that would exceed it ends the session; the first never does

  [[nodiscard]] Geometric turns() const noexcept;
};

/// A session's turns hang on each other, so its length bounds how deep its end recurses.
inline constexpr std::uint32_t kTurnsMax = 1'024;

/// Sessions' arrivals: those of requests, divided by the mean of turns.
[[nodiscard]] ArrivalOptions session_arrivals(const ArrivalOptions& requests, const DialogOptions& dialog) noexcept;

/// What stands before a session's first turn: the history that others may share, and what is said first.
struct DialogOpening {
  BlockChain history;
  Text said{};
  Duration arrival{};
};

/// A session with as many turns as it draws, or as requests are left. Pre: generator.left() > 0.
[[nodiscard]] SimRequest hold_dialog(DialogOpening opening, const DialogOptions& options, Generator& generator);

}  // namespace llmd::simulation
