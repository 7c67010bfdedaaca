#include "model/media_estimate.h"

#include <algorithm>
#include <limits>

namespace llmd {
namespace {

constexpr std::uint64_t kTokensMax = std::numeric_limits<std::uint32_t>::max();

// Facts come from request headers, so products are bounded before they become whole numbers.
std::uint64_t whole(double number) noexcept {
  return number > 0 ? static_cast<std::uint64_t>(std::min(number, static_cast<double>(kTokensMax))) : 0;
}

std::uint64_t clamp_frames(const VideoEstimate& estimate, std::uint64_t frames) noexcept {
  frames = std::max<std::uint64_t>(frames, estimate.frames_min);
  return estimate.frames_max > 0 ? std::min<std::uint64_t>(frames, estimate.frames_max) : frames;
}

std::uint64_t frames_of(const VideoEstimate& estimate, const VideoFacts& facts) noexcept {
  const double seconds = facts.seconds > 0 ? facts.seconds : estimate.seconds;
  if (estimate.strided) {
    const double fps = facts.fps > 0 ? facts.fps : estimate.source_fps;
    return clamp_frames(estimate, whole(seconds * fps) / std::max(1U, estimate.stride));
  }
  return clamp_frames(estimate, whole(seconds * estimate.sampled_fps)) / std::max(1U, estimate.frames_merged);
}

}  // namespace

std::uint32_t image_tokens(const PictureEstimate& estimate, std::optional<Resolution> known) noexcept {
  if (estimate.fixed) return std::max(1U, estimate.fixed_tokens);
  const Resolution resolution = known.value_or(estimate.resolution);
  const std::uint64_t tokens =
      std::uint64_t{resolution.width} * resolution.height / std::max(1U, estimate.pixels_per_token);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(tokens, 1, kTokensMax));
}

std::uint32_t video_tokens(const VideoEstimate& estimate, const VideoFacts& facts) noexcept {
  // Both factors are below 2^32, so the product fits.
  std::uint64_t tokens = frames_of(estimate, facts) * image_tokens(estimate.frame, facts.resolution);
  if (estimate.tokens_max > 0) tokens = std::min<std::uint64_t>(tokens, estimate.tokens_max);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(tokens, 1, kTokensMax));
}

}  // namespace llmd
