#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "forecast/forecaster.h"

namespace llmd::forecast {

/// The kind that erred least on halves of workloads that it had not seen: docs/benchmarks.md, "Forecast of load".
inline constexpr std::string_view kDefaultForecaster = "ar";

/// ewma, holt-winters, ar, lstm; last of them last-value, the baseline.
[[nodiscard]] std::span<const std::string_view> forecaster_names() noexcept;
/// The same without the baseline.
[[nodiscard]] std::span<const std::string_view> learning_forecaster_names() noexcept;

/// With the defaults of its kind. Null for any other name.
[[nodiscard]] std::unique_ptr<Forecaster> make_forecaster(std::string_view name, std::uint32_t series_max);

}  // namespace llmd::forecast
