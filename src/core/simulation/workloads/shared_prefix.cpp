#include "simulation/workloads/shared_prefix.h"

#include <algorithm>
#include <utility>

#include "simulation/workloads/lengths.h"

namespace llmd::simulation {
namespace {

SharedPrefixOptions in_range(SharedPrefixOptions options) {
  options.common.arrivals = in_range(options.common.arrivals);
  options.burst_share = std::max(0.0, std::min(options.burst_share, 0.95));
  options.burst_requests = std::max(options.burst_requests, 1U);
  options.burst_speed = std::max(1.0, options.burst_speed);
  return options;
}

}  // namespace

SharedPrefixWorkload::SharedPrefixWorkload(const SharedPrefixOptions& options)
    : options_{in_range(options)},
      generator_{options_.common},
      steady_{with_share(options_.common.arrivals, 1 - options_.burst_share), generator_.fork(1)},
      burst_rng_{generator_.fork(2)},
      which_{options_.prefixes, options_.prefixes_zipf},
      steady_next_{steady_.next()} {
  prefixes_.reserve(which_.count());
  while (prefixes_.size() < which_.count()) prefixes_.push_back(generator_.fresh_text(options_.prefix_tokens));
  if (options_.burst_share > 0) plan_burst(0);
}

void SharedPrefixWorkload::plan_burst(double now_s) {
  // Bursts have their share of the requests if a burst and the pause before it take requests / (rate x share). The
  // burst itself takes requests / (rate x speed), and speed >= 1 > share, so a pause is left.
  const double pause_s = options_.burst_requests / options_.common.arrivals.rate_per_s *
                         (1 / options_.burst_share - 1 / options_.burst_speed);
  burst_ = {.prefix = generator_.fresh_text(options_.prefix_tokens),
            .left = options_.burst_requests,
            .next_s = now_s + pause_s * draw_exponential(burst_rng_)};
}

Text SharedPrefixWorkload::take_from_burst() {
  const Text prefix = burst_->prefix;
  burst_->next_s += draw_exponential(burst_rng_) / (options_.common.arrivals.rate_per_s * options_.burst_speed);
  if (--burst_->left == 0) {
    prefixes_[burst_rng_.below(prefixes_.size())] = prefix;
    plan_burst(burst_->next_s);
  }
  return prefix;
}

std::optional<SimRequest> SharedPrefixWorkload::next() {
  if (generator_.left() == 0) return std::nullopt;
  const bool in_burst = burst_ && from_seconds(burst_->next_s) < steady_next_;
  const Duration arrival = in_burst ? from_seconds(burst_->next_s) : steady_next_;
  if (!in_burst) steady_next_ = steady_.next();
  BlockChain prompt{generator_.block_tokens()};
  prompt.append(in_burst ? take_from_burst() : prefixes_[which_.draw(generator_.rng())]);
  prompt.append(generator_.fresh_text(options_.question_tokens));
  const Text answer = generator_.fresh_text(options_.answer_tokens);
  return single_request({}, arrival, std::move(prompt), answer, generator_);
}

}  // namespace llmd::simulation
