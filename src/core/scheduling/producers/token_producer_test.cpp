#include "scheduling/producers/token_producer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "scheduling/testing/made_plugin.h"

namespace llmd::scheduling {
namespace {

using testing::GivenParameters;
using testing::refusal;
using namespace std::string_literals;

MediaEstimate estimate_of(const GivenParameters& settings) {
  const Parameters parameters = testing::parameters_of(settings);
  return TokenProducer::read({TokenProducer::kSpec.parameters, parameters});
}

std::int64_t whole(std::int64_t value) { return value; }

TEST(ImageTokens, AreItsPixelsOrAConstant) {
  const std::string image = "estimate.image.";
  const struct {
    std::string name;
    GivenParameters settings;
    std::optional<Resolution> known;
    std::uint32_t expected;
  } cases[] = {
      {"640 * 360 / 1024", {}, {}, 225},
      {"1024 * 1024 / 1024", {}, Resolution{1'024, 1'024}, 1'024},
      {"at least one", {}, Resolution{10, 10}, 1},
      {"other factor", {{image + "dynamic.factor", whole(784)}}, {}, 293},
      {"other resolution",
       {{image + "defaultResolution.width", whole(1'024)}, {image + "defaultResolution.height", whole(100)}},
       {},
       100},
      {"zero and less are the defaults",
       {{image + "dynamic.factor", whole(0)}, {image + "defaultResolution.width", whole(-1)}},
       {},
       225},
      {"constant", {{image + "mode", "static"s}, {image + "static.staticToken", whole(256)}}, Resolution{9, 9}, 256},
      {"constant that is not given", {{image + "mode", "static"s}}, {}, 1},
      {"largest", {{image + "dynamic.factor", whole(1)}}, Resolution{4'000'000'000, 4'000'000'000}, 4'294'967'295},
  };
  for (const auto& c : cases) EXPECT_EQ(image_tokens(estimate_of(c.settings).image, c.known), c.expected) << c.name;
}

TEST(VideoTokens, AreFramesTimesTokensOfAFrame) {
  const std::string frames = "estimate.video.frames.";
  const GivenParameters one_a_frame{{"estimate.video.tokensPerFrame.mode", "static"s}};
  const auto with = [&](GivenParameters more) {
    more.insert(more.end(), one_a_frame.begin(), one_a_frame.end());
    return more;
  };
  const struct {
    std::string name;
    GivenParameters settings;
    VideoFacts facts;
    std::uint32_t expected;
  } cases[] = {
      {"10 s * 2 fps * 225", {}, {}, 4'500},
      {"resolution of the video", {}, {.resolution = Resolution{1'024, 10}}, 200},
      {"length of the video", with({}), {.seconds = 7.6}, 15},
      {"its rate counts only when strided", with({}), {.fps = 60}, 20},
      {"frames that share their tokens", with({{frames + "sampled.temporalPatchSize", whole(3)}}), {}, 6},
      {"fewest frames", with({{frames + "minFrames", whole(50)}}), {}, 50},
      {"most frames", with({{frames + "maxFrames", whole(5)}}), {}, 5},
      {"other sampling", with({{frames + "sampled.sampleFPS", 0.5}}), {}, 5},
      {"10 s * 24 fps", with({{frames + "mode", "strided"s}}), {}, 240},
      {"every seventh", with({{frames + "mode", "strided"s}, {frames + "strided.frameStride", whole(7)}}), {}, 34},
      {"rate of the video", with({{frames + "mode", "strided"s}}), {.seconds = 1, .fps = 30}, 30},
      {"other rate",
       with({{frames + "mode", "strided"s}, {frames + "strided.defaultSourceFPS", 10.0}}),
       {.seconds = 2},
       20},
      {"other length", with({{"estimate.video.defaultDuration", 3.0}}), {}, 6},
      {"tokens of a frame", with({{"estimate.video.tokensPerFrame.static.numTokensPerFrame", whole(4)}}), {}, 80},
      {"at most", with({{"estimate.video.maxVideoTokens", whole(9)}}), {}, 9},
      {"at least one", with({}), {.seconds = 0.1}, 1},
      {"a year of video", with({}), {.seconds = 1e300}, 4'294'967'295},
      {"not a number", with({}), {.seconds = std::nan("")}, 20},
  };
  for (const auto& c : cases) EXPECT_EQ(video_tokens(estimate_of(c.settings).video, c.facts), c.expected) << c.name;
}

TEST(TokenProducer, TakesOneBackend) {
  const GivenParameters vllm{{"vllm", true}, {"modelName", "m"s}};
  const struct {
    std::string name;
    GivenParameters settings;
    std::string what;
  } cases[] = {
      {"none", {}, ""},
      {"estimate", {{"estimate", true}}, ""},
      {"vllm", vllm, ""},
      {"a model alone means vllm", {{"modelName", "m"s}}, ""},
      {"uds", {{"udsTokenizerConfig.socketFile", "/s"s}, {"modelName", "m"s}}, ""},
      {"vllm without a model", {{"vllm.url", "http://x"s}}, "token-producer: modelName is missing"},
      {"uds without a model", {{"udsTokenizerConfig.socketFile", "/s"s}}, "token-producer: modelName is missing"},
      {"estimate and a model",
       {{"estimate.image.mode", "static"s}, {"modelName", "m"s}},
       "token-producer: more than one of estimate, vllm and udsTokenizerConfig"},
      {"uds and vllm",
       {{"udsTokenizerConfig.socketFile", "/s"s}, {"vllm", true}, {"modelName", "m"s}},
       "token-producer: more than one of estimate, vllm and udsTokenizerConfig"},
      {"mode",
       {{"estimate.video.frames.mode", "all"s}},
       "token-producer: estimate.video.frames.mode is \"all\"; expected one of sampled, strided"},
      {"duration",
       {{"vllm.timeout", "5"s}, {"modelName", "m"s}},
       "token-producer: vllm.timeout is \"5\"; expected a duration such as 200ms, 5s or 1m30s"},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal("token-producer", c.settings), c.what) << c.name;
  EXPECT_EQ(refusal("tokenizer", vllm), "");
}

}  // namespace
}  // namespace llmd::scheduling
