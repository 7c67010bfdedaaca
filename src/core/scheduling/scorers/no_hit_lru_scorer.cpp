#include "scheduling/scorers/no_hit_lru_scorer.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "base/hash.h"
#include "scheduling/lru_map.h"

namespace llmd::scheduling {
namespace {

constexpr double kEndpointsMax = 1'024;
constexpr std::array kParameters{
    ParameterSpec{.name = "lruSize",
                  .type = ParameterType::kInteger,
                  .number = kEndpointsMax,
                  .min = -1e15,
                  .max = 1'000'000,
                  .help = "endpoints remembered; 0 and less count as 1024, as in llm-d. Keep it above the pool's size"},
    ParameterSpec{.name = "prefixMatchInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer that says what is cached; empty: the only one",
                  .refers = PluginKind::kDataProducer},
    ParameterSpec{.name = "prefixPluginType",
                  .type = ParameterType::kText,
                  .help = "never used, as in llm-d",
                  .support = Support::kNoEffect},
    ParameterSpec{.name = "prefixPluginName",
                  .type = ParameterType::kText,
                  .help = "never used, as in llm-d",
                  .support = Support::kNoEffect},
};

/// Which endpoints got cold prompts, by the hash of their names, the longest ago first.
class ColdUses final : public PluginMemory {
 public:
  void use(std::uint64_t endpoint, std::size_t endpoints_max) {
    const std::scoped_lock lock{mutex_};
    uses_.touch(endpoint);
    while (uses_.size() > endpoints_max) uses_.erase_oldest();
  }
  /// Sets each score to the candidate's rank.
  void rank(std::span<const FixedValue> fixed, std::span<const EndpointIndex> candidates,
            std::span<float> ranks) noexcept {
    const std::scoped_lock lock{mutex_};
    ++round_;
    std::size_t rank = 0;
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      Mark* const used = uses_.find(fixed[candidates[c]].ids[0]);
      if (used == nullptr || used->round == round_) {
        ranks[c] = static_cast<float>(rank++);
      } else {
        *used = {.round = round_, .position = c};
      }
    }
    uses_.visit_oldest_first([&](const Mark& used) {
      if (used.round == round_) ranks[used.position] = static_cast<float>(rank++);
    });
  }

  [[nodiscard]] PluginState state() const override {
    const std::scoped_lock lock{mutex_};
    return {.figures = {{"totalEndpoints", static_cast<double>(uses_.size())}}};
  }

 private:
  /// Where an endpoint stands among the candidates of a round.
  struct Mark {
    std::uint64_t round = 0;
    std::size_t position = 0;
  };
  mutable std::mutex mutex_;
  LruMap<Mark> uses_;
  std::uint64_t round_ = 0;
};

}  // namespace

constinit const PluginSpec NoHitLruScorer::kSpec{
    .type = "no-hit-lru-scorer",
    .kind = PluginKind::kScorer,
    .help = "spreads prompts that nobody has cached over the endpoints in turn",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const double size = parameters.number("lruSize");
      return std::make_unique<const NoHitLruScorer>(static_cast<std::size_t>(size > 0 ? size : kEndpointsMax));
    },
    .inputs = "cached blocks of the prompt; which endpoints got cold prompts before",
    .no_data = "without a producer of prefix matches every prompt is cold",
    .reads_prefixes = true,
};

FixedValue NoHitLruScorer::fixed_value(const Endpoint& endpoint) const { return {.ids = {xxh64(endpoint.name)}}; }

std::unique_ptr<PluginMemory> NoHitLruScorer::make_memory() const { return std::make_unique<ColdUses>(); }

void NoHitLruScorer::sent(const SentRequest& sent, PluginMemory& memory) const {
  if (sent.decision.cached_anywhere) return;
  auto& uses = static_cast<ColdUses&>(memory);
  for (const auto& endpoint : {sent.decision.decode, sent.decision.prefill}) {
    if (endpoint != nullptr) uses.use(xxh64(endpoint->name), endpoints_max_);
  }
}

void NoHitLruScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                           std::span<float> scores) const noexcept {
  const bool cold = input.matched_blocks.empty() ||
                    std::ranges::none_of(candidates, [&](EndpointIndex i) { return input.matched_blocks[i] > 0; });
  if (!cold || candidates.size() < 2) {
    std::ranges::fill(scores, cold ? 1.0F : 0.5F);
    return;
  }
  if (input.memory != nullptr) {
    static_cast<ColdUses*>(input.memory)->rank(input.fixed, candidates, scores);
  } else {
    for (std::size_t c = 0; c < scores.size(); ++c) scores[c] = static_cast<float>(c);
  }
  const auto last = static_cast<float>(candidates.size() - 1);
  for (float& score : scores) score = 1.0F - score / last;
}

}  // namespace llmd::scheduling
