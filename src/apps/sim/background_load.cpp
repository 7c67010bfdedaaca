#include "apps/sim/background_load.h"

#include <fmt/format.h>

#include <utility>

#include "apps/sim/probe_texts.h"

namespace llmd::sim {
namespace {

constexpr std::uint32_t kStreams = 2;  // requests under way at an endpoint
constexpr std::uint32_t kShortTokens = 24;
constexpr std::uint32_t kAnswerTokens = 32;

}  // namespace

BackgroundLoad::BackgroundLoad(const std::vector<ProbeTarget>& targets, const Options& options) : options_{options} {
  std::uint64_t seed = fresh_seed();
  for (const ProbeTarget& target : targets) {
    for (std::uint32_t stream = 0; stream < kStreams; ++stream)
      threads_.emplace_back([this, target, own = ++seed](const std::stop_token& stop) { run(stop, target, own); });
  }
}

void BackgroundLoad::run(const std::stop_token& stop, const ProbeTarget& target, std::uint64_t seed) {
  Prober prober{target};
  ProbeTexts texts{seed, options_.tokens_per_word};
  while (!stop.stop_requested()) {
    const bool decodes = kind_.load(std::memory_order_relaxed) == Kind::kDecoding;
    const Probe probe{.prompt = texts.text_of(decodes ? kShortTokens : options_.prompt_tokens),
                      .max_tokens = decodes ? kAnswerTokens : 1};
    const auto asked = prober.ask({probe}, options_.deadline);
    if (asked) continue;
    if (asked.error().code == ErrorCode::kDeadlineExceeded) return;
    const std::lock_guard lock{mutex_};
    if (!error_) {
      error_ = asked.error();
      error_->what = fmt::format("{}: {}", target.address.to_string(), error_->what);
    }
    return;
  }
}

Result<void> BackgroundLoad::check() const {
  const std::lock_guard lock{mutex_};
  if (error_) return std::unexpected(*error_);
  return {};
}

}  // namespace llmd::sim
