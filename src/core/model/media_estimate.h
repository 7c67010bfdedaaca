#pragma once

#include <cstdint>
#include <optional>

namespace llmd {

struct Resolution {
  std::uint32_t width = 640;  // pixels
  std::uint32_t height = 360;
  friend bool operator==(const Resolution&, const Resolution&) = default;
};

/// How many tokens one picture takes: a constant, or pixels / `pixels_per_token`. At least 1.
struct PictureEstimate {
  bool fixed = false;
  std::uint32_t fixed_tokens = 1;
  std::uint32_t pixels_per_token = 1'024;
  Resolution resolution{};  // where the picture's own is not known
};

/// How many tokens a video takes: frames * tokens of a frame, at most `tokens_max`.
struct VideoEstimate {
  PictureEstimate frame{};
  double seconds = 10;   // where the video's own length is not known
  bool strided = false;  // frames are taken of those that there are, not so many a second
  double sampled_fps = 2;
  double source_fps = 24;    // strided: where the video's own rate is not known
  std::uint32_t stride = 1;  // strided: every so many-th frame
  std::uint32_t frames_min = 0;
  std::uint32_t frames_max = 0;     // 0: no limit
  std::uint32_t frames_merged = 1;  // sampled: so many frames make one group of tokens
  std::uint32_t tokens_max = 0;     // 0: no limit
};

struct MediaEstimate {
  PictureEstimate image{};
  VideoEstimate video{};
};

/// What is known of a video beside its address. 0: not known.
struct VideoFacts {
  std::optional<Resolution> resolution{};
  double seconds = 0;
  double fps = 0;
};

/// Both give 1 to 2^32 - 1.
[[nodiscard]] std::uint32_t image_tokens(const PictureEstimate& estimate, std::optional<Resolution> known) noexcept;
[[nodiscard]] std::uint32_t video_tokens(const VideoEstimate& estimate, const VideoFacts& facts) noexcept;

}  // namespace llmd
