#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "model/endpoint.h"

namespace llmd::health {

enum class Freshness : std::uint8_t {
  kFresh,
  kStale,    // was reported, but not within the age allowed
  kMissing,  // never reported
};

[[nodiscard]] constexpr std::string_view freshness_name(Freshness freshness) noexcept {
  switch (freshness) {
    case Freshness::kFresh: return "fresh";
    case Freshness::kStale: return "stale";
    case Freshness::kMissing: return "missing";
  }
  return "missing";
}

/// How old a reading is; never negative, should its clock be ahead.
template <class T>
[[nodiscard]] constexpr Duration age_of(const Reading<T>& reading, TimePoint now) noexcept {
  return std::max(Duration{}, now - reading.at);
}

template <class T>
[[nodiscard]] constexpr Freshness freshness_of(const Reading<T>& reading, TimePoint now, Duration age_max) noexcept {
  if (!reading.value) return Freshness::kMissing;
  return age_of(reading, now) <= age_max ? Freshness::kFresh : Freshness::kStale;
}

}  // namespace llmd::health
