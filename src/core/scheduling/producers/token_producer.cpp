#include "scheduling/producers/token_producer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 2> kPictureModes{"dynamic", "static"};
constexpr std::array<std::string_view, 2> kFrameModes{"sampled", "strided"};

/// llm-d takes any whole number, and a value of 0 or less as the default.
constexpr ParameterSpec count(std::string_view name, double normal, std::string_view help) {
  return {.name = name, .type = ParameterType::kInteger, .number = normal, .min = -1e9, .max = 1e9, .help = help};
}
constexpr ParameterSpec number(std::string_view name, double normal, std::string_view help) {
  return {.name = name, .type = ParameterType::kNumber, .number = normal, .min = -1e9, .max = 1e9, .help = help};
}
constexpr ParameterSpec picture_mode(std::string_view name, std::string_view help) {
  return {.name = name, .type = ParameterType::kText, .text = kPictureModes[0], .choices = kPictureModes, .help = help};
}
constexpr ParameterSpec remote(std::string_view name, ParameterType type, std::string_view normal,
                               std::string_view help) {
  return {.name = name, .type = type, .text = normal, .help = help, .support = Support::kWaits};
}
constexpr std::array kParameters{
    remote("modelName", ParameterType::kText, "", "the model whose vocabulary vllm or udsTokenizerConfig uses"),
    remote("vllm", ParameterType::kObject, "", "ask a vLLM server for a prompt's tokens"),
    remote("vllm.url", ParameterType::kText, "http://localhost:8000", "where it is"),
    remote("vllm.timeout", ParameterType::kDuration, "5s", "for a prompt of text"),
    remote("vllm.mmTimeout", ParameterType::kDuration, "30s", "for a prompt with media"),
    remote("udsTokenizerConfig.socketFile", ParameterType::kText, "", "ask a tokenizer behind this Unix socket"),
    remote("udsTokenizerConfig.useTCP", ParameterType::kBool, "", "socketFile is host:port, for tests"),
    remote("udsTokenizerConfig.modelTokenizerMap", ParameterType::kTextMap, "", "where each model's files are"),
    ParameterSpec{
        .name = "estimate", .type = ParameterType::kObject, .help = "estimate tokens; so without any backend"},
    picture_mode("estimate.image.mode", "tokens of an image by its pixels, or a constant"),
    count("estimate.image.defaultResolution.width", 640, "pixels, where the image's own width is not known"),
    count("estimate.image.defaultResolution.height", 360, "pixels, where the image's own height is not known"),
    count("estimate.image.static.staticToken", 1, "tokens of an image in mode static"),
    count("estimate.image.dynamic.factor", 1'024, "pixels a token in mode dynamic"),
    count("estimate.video.defaultResolution.width", 640, "pixels, where the request does not tell"),
    count("estimate.video.defaultResolution.height", 360, "pixels, where the request does not tell"),
    number("estimate.video.defaultDuration", 10, "seconds, where the request does not tell"),
    picture_mode("estimate.video.tokensPerFrame.mode", "tokens of a frame by its pixels, or a constant"),
    count("estimate.video.tokensPerFrame.static.numTokensPerFrame", 1, "tokens of a frame in mode static"),
    count("estimate.video.tokensPerFrame.dynamic.factor", 1'024, "pixels a token in mode dynamic"),
    ParameterSpec{.name = "estimate.video.frames.mode",
                  .type = ParameterType::kText,
                  .text = kFrameModes[0],
                  .choices = kFrameModes,
                  .help = "so many frames a second, or every so many-th of those that there are"},
    count("estimate.video.frames.minFrames", 0, "no fewer frames are counted"),
    count("estimate.video.frames.maxFrames", 0, "no more frames are counted; 0: any number"),
    number("estimate.video.frames.sampled.sampleFPS", 2, "frames a second in mode sampled"),
    count("estimate.video.frames.sampled.temporalPatchSize", 1, "frames that share their tokens in mode sampled"),
    number("estimate.video.frames.strided.defaultSourceFPS", 24, "frames a second, where the request does not tell"),
    count("estimate.video.frames.strided.frameStride", 1, "of how many frames one is taken in mode strided"),
    count("estimate.video.maxVideoTokens", 0, "tokens of a video at most; 0: any number"),
};

bool sets_group(const ParameterReader& parameters, std::string_view group) {
  return std::ranges::any_of(parameters.specs(), [&](const ParameterSpec& each) {
    return (each.name == group || each.name.starts_with(fmt::format("{}.", group))) && parameters.is_set(each.name);
  });
}

MadePlugin make(const ParameterReader& parameters) {
  const bool named = !parameters.text("modelName").empty();
  const bool uds = !parameters.text("udsTokenizerConfig.socketFile").empty();
  const bool vllm = sets_group(parameters, "vllm") || (named && !uds);
  const bool estimate = sets_group(parameters, "estimate");
  if (int{uds} + int{vllm} + int{estimate} > 1) {
    return fail(ErrorCode::kConfigInvalid, "token-producer: more than one of estimate, vllm and udsTokenizerConfig",
                "keep one; modelName means vllm");
  }
  if ((uds || vllm) && !named)
    return fail(ErrorCode::kConfigInvalid, "token-producer: modelName is missing",
                "vllm and udsTokenizerConfig need it");
  return PluginObjects{};
}

std::uint32_t positive(const ParameterReader& parameters, std::string_view name, std::uint32_t normal) {
  const std::int64_t value = parameters.integer(name);
  return value > 0 ? static_cast<std::uint32_t>(value) : normal;
}

double positive(const ParameterReader& parameters, std::string_view name, double normal) {
  const double value = parameters.number(name);
  return value > 0 ? value : normal;
}

}  // namespace

constinit const PluginSpec TokenProducer::kSpec{
    .type = "token-producer",
    .kind = PluginKind::kDataProducer,
    .help = "the prompt's tokens",
    .parameters = kParameters,
    .make = make,
    .inputs = "the request's prompt and media",
};

constinit const PluginSpec TokenProducer::kOldSpec{
    .type = "tokenizer",
    .kind = PluginKind::kDataProducer,
    .help = "older name of token-producer",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kDeprecated,
    .inputs = "the request's prompt and media",
};

MediaEstimate TokenProducer::read(const ParameterReader& parameters) {
  const auto whole = [&](std::string_view name, std::uint32_t normal) { return positive(parameters, name, normal); };
  const auto real = [&](std::string_view name, double normal) { return positive(parameters, name, normal); };
  const MediaEstimate normal;
  const auto resolution = [&](std::string_view group) {
    return Resolution{.width = whole(fmt::format("{}.width", group), Resolution{}.width),
                      .height = whole(fmt::format("{}.height", group), Resolution{}.height)};
  };
  const PictureEstimate image{.fixed = parameters.text("estimate.image.mode") == "static",
                              .fixed_tokens = whole("estimate.image.static.staticToken", normal.image.fixed_tokens),
                              .pixels_per_token = whole("estimate.image.dynamic.factor", normal.image.pixels_per_token),
                              .resolution = resolution("estimate.image.defaultResolution")};
  const PictureEstimate frame{
      .fixed = parameters.text("estimate.video.tokensPerFrame.mode") == "static",
      .fixed_tokens = whole("estimate.video.tokensPerFrame.static.numTokensPerFrame", normal.video.frame.fixed_tokens),
      .pixels_per_token = whole("estimate.video.tokensPerFrame.dynamic.factor", normal.video.frame.pixels_per_token),
      .resolution = resolution("estimate.video.defaultResolution")};
  return {
      .image = image,
      .video = {.frame = frame,
                .seconds = real("estimate.video.defaultDuration", normal.video.seconds),
                .strided = parameters.text("estimate.video.frames.mode") == "strided",
                .sampled_fps = real("estimate.video.frames.sampled.sampleFPS", normal.video.sampled_fps),
                .source_fps = real("estimate.video.frames.strided.defaultSourceFPS", normal.video.source_fps),
                .stride = whole("estimate.video.frames.strided.frameStride", normal.video.stride),
                .frames_min = whole("estimate.video.frames.minFrames", normal.video.frames_min),
                .frames_max = whole("estimate.video.frames.maxFrames", normal.video.frames_max),
                .frames_merged = whole("estimate.video.frames.sampled.temporalPatchSize", normal.video.frames_merged),
                .tokens_max = whole("estimate.video.maxVideoTokens", normal.video.tokens_max)}};
}

}  // namespace llmd::scheduling
