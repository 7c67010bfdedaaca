#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "model/endpoint.h"

namespace llmd::health {

/// The readings that are watched.
enum class LoadReading : std::uint8_t { kWaiting, kRunning, kKvUsage };
inline constexpr std::size_t kLoadReadings = 3;
[[nodiscard]] std::string_view reading_name(LoadReading reading) noexcept;

/// Finds readings that an engine goes on to tell without measuring them any more: equal over many scrapes in which our
/// own requests came and went. Suspicious are only values that those requests rule out: a zero while some ran at every
/// scrape, or anything else while sometimes several ran and often none. (A full engine tells the same number for
/// long, too; and a queue is often empty.) One object an endpoint; not thread-safe; O(1).
class FlatReadings {
 public:
  static constexpr std::uint32_t kScrapes = 20;
  static constexpr std::uint32_t kEnded = 20;
  static constexpr Duration kTime = seconds{10};

  /// A request ended there.
  void on_ended() noexcept { ++ended_; }
  /// A scrape brought the readings of `state`, while so many requests of ours were there. Takes away the values that
  /// are flat: they count as never told.
  void on_scrape(EndpointState& state, std::uint32_t inflight, TimePoint now) noexcept;
  [[nodiscard]] bool flat(LoadReading reading) const noexcept { return runs_[static_cast<std::size_t>(reading)].flat; }

 private:
  /// Of scrapes that told the same.
  struct Run {
    std::optional<float> value{};
    TimePoint since{};
    std::uint64_t ended_before = 0;
    std::uint32_t scrapes = 0;
    std::uint32_t idle = 0;  // of them, with none of our requests there
    std::uint32_t inflight_max = 0;
    bool flat = false;
  };
  void add(LoadReading reading, float value, std::uint32_t inflight, TimePoint now) noexcept;

  std::array<Run, kLoadReadings> runs_{};
  std::uint64_t ended_ = 0;
};

}  // namespace llmd::health
