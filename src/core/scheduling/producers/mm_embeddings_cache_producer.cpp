#include "scheduling/producers/mm_embeddings_cache_producer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::int64_t kMebibytesNormal = 4'096;
constexpr std::int64_t kMebibytesAnItem = 2;
constexpr std::int64_t kItemsMax = 1'000'000;
constexpr std::array kParameters{
    ParameterSpec{.name = "cacheSizeInMBPerServer",
                  .type = ParameterType::kInteger,
                  .number = kMebibytesNormal,
                  .min = -1e15,
                  .help = "MiB of encoded media that an endpoint keeps, 2 an item; 0 or less: 4096"},
};

}  // namespace

constinit const PluginSpec MmEmbeddingsCacheProducer::kSpec{
    .type = "mm-embeddings-cache-producer",
    .kind = PluginKind::kDataProducer,
    .help = "guesses what media endpoints have encoded from what was sent to them",
    .parameters = kParameters,
    .inputs = "the request's media",
};

MediaIndex::Options MmEmbeddingsCacheProducer::read(const ParameterReader& parameters) {
  const std::int64_t asked = parameters.integer("cacheSizeInMBPerServer");
  const std::int64_t items = (asked > 0 ? asked : kMebibytesNormal) / kMebibytesAnItem;
  return {.items_max = static_cast<std::uint32_t>(std::clamp<std::int64_t>(items, 1, kItemsMax))};
}

}  // namespace llmd::scheduling
