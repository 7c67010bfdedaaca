#include "simulation/workloads/agents.h"

#include <utility>

namespace llmd::simulation {

AgentWorkload::AgentWorkload(const AgentOptions& options)
    : generator_{options.common},
      arrivals_{session_arrivals(options.common.arrivals, options.dialog), generator_.fork(1)},
      dialog_{options.dialog},
      task_tokens_{options.task_tokens},
      which_{options.kinds, options.kinds_zipf} {
  kinds_.reserve(which_.count());
  while (kinds_.size() < which_.count()) kinds_.push_back(generator_.fresh_text(options.system_tokens));
}

std::optional<SimRequest> AgentWorkload::next() {
  if (generator_.left() == 0) return std::nullopt;
  BlockChain history{generator_.block_tokens()};
  history.append(kinds_[which_.draw(generator_.rng())]);
  const Text task = generator_.fresh_text(task_tokens_);
  return hold_dialog({.history = std::move(history), .said = task, .arrival = arrivals_.next()}, dialog_, generator_);
}

}  // namespace llmd::simulation
