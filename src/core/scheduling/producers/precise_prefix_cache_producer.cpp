#include "scheduling/producers/precise_prefix_cache_producer.h"

#include "scheduling/producers/precise_prefix_cache_parameters.h"

namespace llmd::scheduling {

constinit const PluginSpec PrecisePrefixCacheProducer::kSpec{
    .type = "precise-prefix-cache-producer",
    .kind = PluginKind::kDataProducer,
    .help = "knows from engines' KV events what they have cached",
    .parameters = kPrecisePrefixCacheParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      if (!parameters.is_set("indexerConfig.tokenizersPoolConfig")) return PluginObjects{};
      return fail(ErrorCode::kConfigInvalid,
                  "precise-prefix-cache-producer: indexerConfig.tokenizersPoolConfig is not supported",
                  "configure a token-producer");
    },
    .support = Support::kWaits,
    .inputs = "KV events; the prompt's tokens",
};

}  // namespace llmd::scheduling
