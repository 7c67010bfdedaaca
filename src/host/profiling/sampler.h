#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"

namespace llmd {

/// Takes samples of the whole process while it lives: SIGPROF by ITIMER_PROF, which the kernel sends to a thread that
/// runs, and backtrace() in its handler. At most one lives at a time.
class Sampler {
 public:
  /// Errors: kOverloaded (one lives), kOutOfMemory, kIo.
  [[nodiscard]] static Result<std::unique_ptr<Sampler>> start();
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  /// Takes no further samples. May be called again.
  void stop() noexcept;
  /// Whether no thread writes a sample any more. Pre: stopped.
  [[nodiscard]] static bool is_quiet() noexcept;
  /// The samples, one behind the other, as a legacy CPU profile has them: 1, number of frames, frames, the innermost
  /// first. Pre: is_quiet(). Valid as long as this.
  [[nodiscard]] std::span<const std::uintptr_t> words() const noexcept;
  /// Samples that found no room.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  struct Recording;
  explicit Sampler(std::unique_ptr<Recording> recording) noexcept;
  std::unique_ptr<Recording> recording_;
};

}  // namespace llmd
