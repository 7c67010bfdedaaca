#include "simulation/workloads/dialog.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace llmd::simulation {
namespace {

/// Each turn takes over the one after it.
SimRequest link_turns(std::vector<SimRequest> turns) {
  while (turns.size() > 1) {
    auto last = std::make_shared<const SimRequest>(std::move(turns.back()));
    turns.pop_back();
    turns.back().next_turn = std::move(last);
  }
  return std::move(turns.front());
}

}  // namespace

Geometric DialogOptions::turns() const noexcept {
  return {.mean = turns_mean, .max = std::clamp(turns_max, 1U, kTurnsMax)};
}

ArrivalOptions session_arrivals(const ArrivalOptions& requests, const DialogOptions& dialog) noexcept {
  return with_share(requests, 1 / dialog.turns().cut_mean());
}

SimRequest hold_dialog(DialogOpening opening, const DialogOptions& options, Generator& generator) {
  Rng& rng = generator.rng();
  const std::uint32_t session = generator.take_session();
  const std::uint32_t count = options.turns().draw(rng);
  BlockChain history = std::move(opening.history);
  Text said = opening.said;
  std::vector<SimRequest> turns;
  while (turns.size() < count && generator.left() > 0) {
    if (!turns.empty()) said = generator.fresh_text(options.said_tokens);
    const Text answer = generator.fresh_text(options.answer_tokens);
    const std::uint64_t tokens = history.tokens() + said.tokens + answer.tokens;
    if (!turns.empty() && tokens > options.context_tokens_max) break;
    const Duration arrival = turns.empty() ? opening.arrival : draw_time(options.pause_s, rng);
    history.append(said);
    turns.push_back(single_request({.session = session}, arrival, history, answer, generator));
    history.append(answer);
  }
  return link_turns(std::move(turns));
}

}  // namespace llmd::simulation
