#include "api/requests/media_tokens.h"

#include <gtest/gtest.h>

#include <string>

#include "api/openai/base64.h"

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
    std::optional<ImageSize> expected;
  };
  const std::string jpeg = "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"s + "\xff\xe1\0\x80"s +
                           std::string(126, 'x') + "\xff\xc2\0\x11\x08\x01\x68\x02\x80\3"s;
  const Case cases[] = {
      {"PNG", std::string{kPng}, ImageSize{.width = 1'024, .height = 768}},
      {"GIF", "GIF89a\x40\1\xf0\0\xf7"s, ImageSize{.width = 320, .height = 240}},
      {"JPEG behind other segments", jpeg, ImageSize{.width = 640, .height = 360}},
      {"WebP, extended", "RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\3\0\xff\1\0"s,
       ImageSize{.width = 1'024, .height = 512}},
      {"WebP, lossy", "RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\1\x2a\x80\2\x68\1"s,
       ImageSize{.width = 640, .height = 360}},
      {"WebP, lossless", "RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x59\0"s, ImageSize{.width = 640, .height = 360}},
      {"PNG that is cut", std::string{kPng.substr(0, 18)}, std::nullopt},
      {"JPEG without a frame", "\xff\xd8\xff\xe0\0\2\xff\xd9"s, std::nullopt},
      {"text", "hello, hello, hello, hello, hello", std::nullopt},
      {"nothing", "", std::nullopt},
  };
  for (const Case& item : cases) EXPECT_EQ(image_size(base64(item.bytes)), item.expected) << item.name;
  EXPECT_EQ(image_size("iVBOR*"), std::nullopt) << "no base64";
}

TEST(MediaTokens, AreBoundedAndNeverZero) {
  using namespace std::string_literals;
  const std::string png = base64(kPng);
  EXPECT_EQ(image_tokens_of_base64(png), 1'024U * 768 / 1'024);
  EXPECT_EQ(image_tokens_of_url("data:image/png;base64," + png), 768U);
  EXPECT_EQ(image_tokens_of_url("https://example.com/a.png"), 225U);
  const std::string huge = base64("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\2\0\0\0"s);
  EXPECT_EQ(image_tokens_of_base64(huge), kMediaTokensMax);
  EXPECT_EQ(audio_tokens(0), 1U);
  EXPECT_EQ(audio_tokens(5), 2U);
}

TEST(MediaTokens, OfAVideoFollowTheHeaders) {
  ParseHints hints;
  EXPECT_EQ(video_tokens(hints), 20U * 225);
  take_hint("x-llm-d-video-duration-seconds", " 4.5 ", hints);
  take_hint("x-llm-d-video-resolution", "1024x768", hints);
  EXPECT_EQ(video_tokens(hints), 9U * 768);
  for (const std::string_view bad : {"", "0", "-1", "nan", "inf", "1e400", "4 s"}) {
    take_hint("x-llm-d-video-duration-seconds", bad, hints);
  }
  for (const std::string_view bad : {"", "x", "0x5", "5x", "5x-1", "99999999999x1", "5"}) {
    take_hint("x-llm-d-video-resolution", bad, hints);
  }
  EXPECT_EQ(video_tokens(hints), 9U * 768) << "what makes no sense changes nothing";
  take_hint("x-llm-d-video-duration-seconds", "1e30", hints);
  take_hint("x-llm-d-video-resolution", "4294967295x4294967295", hints);
  EXPECT_EQ(video_tokens(hints), kMediaTokensMax);
}

}  // namespace
}  // namespace llmd::api
