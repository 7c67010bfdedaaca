#include "scheduling/producers/predicted_latency_producer.h"

#include <array>

namespace llmd::scheduling {
namespace {

constexpr ParameterSpec producer_name(std::string_view name, std::string_view help) {
  return {.name = name,
          .type = ParameterType::kText,
          .help = help,
          .support = Support::kNoEffect,
          .refers = PluginKind::kDataProducer};
}
constexpr std::array kParameters{
    ParameterSpec{.name = "samplingMean",
                  .type = ParameterType::kNumber,
                  .number = 1'000,
                  .min = -1e15,
                  .help = "accepted without effect, as in llm-d",
                  .support = Support::kNoEffect},
    ParameterSpec{.name = "maxDecodeTokenSamplesForPrediction",
                  .type = ParameterType::kInteger,
                  .min = -1e15,
                  .help = "accepted without effect, as in llm-d",
                  .support = Support::kNoEffect},
    ParameterSpec{.name = "sloBufferFactor",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "the time per token may take so many times its objective; more than 0"},
    ParameterSpec{.name = "contextTTL",
                  .type = ParameterType::kInteger,
                  .number = 3e11,
                  .help = "accepted without effect: what is learned from lives as long as the request",
                  .support = Support::kNoEffect},
    ParameterSpec{.name = "streamingMode",
                  .type = ParameterType::kBool,
                  .help = "learn and judge the time per token, too; needs streamed answers"},
    ParameterSpec{.name = "endpointRoleLabel",
                  .type = ParameterType::kText,
                  .help = "a label; endpoints with the value prefill have no time per token. Empty: all have"},
    ParameterSpec{.name = "predictInProduce",
                  .type = ParameterType::kBool,
                  .number = 1,
                  .help = "predict for each request; false only learns"},
    producer_name("prefixMatchInfoProducerName", "the producer of prefix matches; empty: the only one"),
    producer_name("inFlightLoadProducerName", "the producer of what is in flight; empty: the only one"),
    ParameterSpec{.name = "useEncoderCacheFeatures",
                  .type = ParameterType::kBool,
                  .help = "accepted without effect: media do not count in predictions",
                  .support = Support::kNoEffect},
    producer_name("encoderCacheMatchInfoProducerName", "the producer of encoded media; empty: the only one"),
};

MadePlugin make(const ParameterReader& parameters) {
  if (parameters.number("sloBufferFactor") > 0) return PluginObjects{};
  return fail(ErrorCode::kConfigInvalid, "predicted-latency-producer: sloBufferFactor is 0; expected more",
              "1 holds predictions against the objective itself");
}

}  // namespace

constinit const PluginSpec PredictedLatencyProducer::kSpec{
    .type = "predicted-latency-producer",
    .kind = PluginKind::kDataProducer,
    .help = "predicts TTFT and TPOT of a request on each endpoint",
    .parameters = kParameters,
    .make = make,
    .inputs = "prompts and answers in flight, waiting requests, prefix match; the prompt's length",
    .no_data =
        "the model is in the process and learns from streamed answers; no prediction before 32 of a class. The "
        "objectives of requests that run already are not known, so they set no floor",
};

}  // namespace llmd::scheduling
