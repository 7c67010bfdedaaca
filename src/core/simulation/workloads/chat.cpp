#include "simulation/workloads/chat.h"

#include <utility>

namespace llmd::simulation {

ChatWorkload::ChatWorkload(const ChatOptions& options)
    : generator_{options.common},
      arrivals_{session_arrivals(options.common.arrivals, options.dialog), generator_.fork(1)},
      dialog_{options.dialog},
      which_{options.system_prompts, options.system_zipf} {
  system_prompts_.reserve(which_.count());
  while (system_prompts_.size() < which_.count()) {
    system_prompts_.push_back(generator_.fresh_text(options.system_tokens));
  }
}

std::optional<SimRequest> ChatWorkload::next() {
  if (generator_.left() == 0) return std::nullopt;
  BlockChain history{generator_.block_tokens()};
  history.append(system_prompts_[which_.draw(generator_.rng())]);
  const Text said = generator_.fresh_text(dialog_.said_tokens);
  return hold_dialog({.history = std::move(history), .said = said, .arrival = arrivals_.next()}, dialog_, generator_);
}

}  // namespace llmd::simulation
