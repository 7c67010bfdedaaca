#include "apps/sim/probe_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace llmd::sim {

std::string ProbeTexts::text_of(std::uint32_t tokens) {
  const auto words = static_cast<std::uint32_t>(std::max(1.0, std::round(tokens / tokens_per_word_)));
  std::string text;
  for (std::uint32_t i = 0; i < words; ++i) text += fmt::format("{}{:x}", i == 0 ? "" : " ", rng_.below(0xffff));
  return text;
}

std::uint64_t fresh_seed() { return static_cast<std::uint64_t>(SteadyClock::now().time_since_epoch().count()); }

}  // namespace llmd::sim
