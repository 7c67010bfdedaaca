#include "scheduling/scorers/mm_embeddings_cache_scorer.h"

#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "producerName",
                  .type = ParameterType::kText,
                  .help = "the mm-embeddings-cache-producer to read; empty: the only one",
                  .refers = PluginKind::kDataProducer},
};

}  // namespace

constinit const PluginSpec MmEmbeddingsCacheScorer::kSpec{
    .type = "mm-embeddings-cache-scorer",
    .kind = PluginKind::kScorer,
    .help = "share of the request's media that the endpoint probably has encoded",
    .parameters = kParameters,
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const MmEmbeddingsCacheScorer>();
    },
    .inputs = "media sent there before; the request's media",
};

void MmEmbeddingsCacheScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                    std::span<float> scores) const noexcept {
  float total = 0;
  for (const MediaItem& item : input.request.media) total += static_cast<float>(item.weight);
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    if (total <= 0) {
      scores[c] = 0.0F;
    } else {
      scores[c] = input.media_matched.empty() ? kNoData : input.media_matched[candidates[c]] / total;
    }
  }
}

}  // namespace llmd::scheduling
