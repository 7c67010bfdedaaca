#include "forecast/make_forecaster.h"

#include <array>

#include "forecast/ar_forecaster.h"
#include "forecast/ewma_forecaster.h"
#include "forecast/holt_winters_forecaster.h"
#include "forecast/last_value_forecaster.h"
#include "forecast/lstm_forecaster.h"

namespace llmd::forecast {
namespace {

constexpr std::array<std::string_view, 5> kNames{"ewma", "holt-winters", "ar", "lstm", "last-value"};

}  // namespace

std::span<const std::string_view> forecaster_names() noexcept { return kNames; }

std::span<const std::string_view> learning_forecaster_names() noexcept { return std::span{kNames}.first<4>(); }

std::unique_ptr<Forecaster> make_forecaster(std::string_view name, std::uint32_t series_max) {
  if (name == "ewma") return std::make_unique<EwmaForecaster>(series_max);
  if (name == "holt-winters") return std::make_unique<HoltWintersForecaster>(series_max);
  if (name == "ar") return std::make_unique<ArForecaster>(series_max);
  if (name == "lstm") return std::make_unique<LstmForecaster>(series_max);
  if (name == "last-value") return std::make_unique<LastValueForecaster>(series_max);
  return nullptr;
}

}  // namespace llmd::forecast
