#include "api/requests/media_tokens.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "api/openai/base64.h"
#include "api/requests/parse_hints.h"

namespace llmd::api {
namespace {

std::string base64(std::string_view bytes) {
  return openai::encode_base64(std::as_bytes(std::span{bytes.data(), bytes.size()}));
}

constexpr std::string_view kPng{"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0\x08\2\0\0\0", 29};

TEST(MediaTokens, ReadTheSizeOfAnImage) {
  using namespace std::string_literals;
  struct Case {
    const char* name;
    std::string bytes;
    std::optional<Resolution> expected;
  };
  const std::string jpeg = "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"s + "\xff\xe1\0\x80"s +
                           std::string(126, 'x') + "\xff\xc2\0\x11\x08\x01\x68\x02\x80\3"s;
  const Case cases[] = {
      {"PNG", std::string{kPng}, Resolution{.width = 1'024, .height = 768}},
      {"GIF", "GIF89a\x40\1\xf0\0\xf7"s, Resolution{.width = 320, .height = 240}},
      {"JPEG behind other segments", jpeg, Resolution{.width = 640, .height = 360}},
      {"WebP, extended", "RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\3\0\xff\1\0"s,
       Resolution{.width = 1'024, .height = 512}},
      {"WebP, lossy", "RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\1\x2a\x80\2\x68\1"s,
       Resolution{.width = 640, .height = 360}},
      {"WebP, lossless", "RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x59\0"s, Resolution{.width = 640, .height = 360}},
      {"PNG that is cut", std::string{kPng.substr(0, 18)}, std::nullopt},
      {"JPEG without a frame", "\xff\xd8\xff\xe0\0\2\xff\xd9"s, std::nullopt},
      {"text", "hello, hello, hello, hello, hello", std::nullopt},
      {"nothing", "", std::nullopt},
  };
  for (const Case& item : cases) EXPECT_EQ(image_size(base64(item.bytes)), item.expected) << item.name;
  EXPECT_EQ(image_size("iVBOR*"), std::nullopt) << "no base64";
}

TEST(MediaTokens, ReadTheSizeOfAnImageInAUrl) {
  const std::string png = base64(kPng);
  EXPECT_EQ(image_size_of_url("data:image/png;base64," + png), (Resolution{.width = 1'024, .height = 768}));
  EXPECT_EQ(image_size_of_url("data:image/png;name=a;base64," + png), (Resolution{.width = 1'024, .height = 768}));
  EXPECT_EQ(image_size_of_url("data:image/png," + png), std::nullopt);
  EXPECT_EQ(image_size_of_url("data:text/plain;base64," + png), std::nullopt);
  EXPECT_EQ(image_size_of_url("https://example.com/a.png"), std::nullopt);
}

TEST(MediaTokens, OfSoundAreNeverZero) {
  EXPECT_EQ(audio_tokens(0), 1U);
  EXPECT_EQ(audio_tokens(5), 2U);
  EXPECT_EQ(audio_tokens(std::size_t{1} << 40U), kMediaTokensMax);
}

TEST(ParseHints, TakeWhatTheHeadersTellOfAVideo) {
  ParseHints hints;
  take_hint("x-llm-d-video-duration-seconds", " 4.5 ", hints);
  take_hint("x-llm-d-video-fps", "30", hints);
  take_hint("x-llm-d-video-resolution", "1024x768", hints);
  take_hint("x-llm-d-video", "7", hints);
  const auto expect_taken = [&hints] {
    EXPECT_EQ(hints.video.seconds, 4.5);
    EXPECT_EQ(hints.video.fps, 30);
    EXPECT_EQ(hints.video.resolution, (Resolution{.width = 1'024, .height = 768}));
  };
  expect_taken();
  for (const std::string_view bad : {"", "0", "-1", "nan", "inf", "1e400", "4 s"}) {
    take_hint("x-llm-d-video-duration-seconds", bad, hints);
    take_hint("x-llm-d-video-fps", bad, hints);
  }
  for (const std::string_view bad : {"", "x", "0x5", "5x", "5x-1", "99999999999x1", "5"}) {
    take_hint("x-llm-d-video-resolution", bad, hints);
  }
  expect_taken();
}

}  // namespace
}  // namespace llmd::api
