// links: llmd_forecast llmd_base
// Question: what does the sample that load-forecast-scorer takes once a second cost the decision that takes it? The
// number that matters: us a step at 16 and 1,000 endpoints. Baseline: last-value. Estimate before measuring: ewma 20 ns
// an endpoint, ar 1 us, lstm 16 windows of 20 steps forth and back (0.3 ms) and 8 us an endpoint.
#include <benchmark/benchmark.h>

#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "forecast/make_forecaster.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

void step(benchmark::State& state) {
  const std::string_view name = forecast::forecaster_names()[static_cast<std::size_t>(state.range(0))];
  const auto endpoints = static_cast<std::uint32_t>(state.range(1));
  const auto forecaster = forecast::make_forecaster(name, endpoints);
  Rng rng{1};
  std::vector<std::optional<float>> values(endpoints, 10.0F);
  const auto move_on = [&] {
    for (auto& value : values) value = 0.9F * *value + 2 * static_cast<float>(rng.uniform());
  };
  for (int i = 0; i < 50; ++i) {  // until all of it works
    move_on();
    forecaster->step(values);
  }
  for (auto _ : state) {
    move_on();
    forecaster->step(values);
    benchmark::DoNotOptimize(forecaster->forecast(0, 5));
  }
  state.SetLabel(std::string{name});
}

}  // namespace

BENCHMARK(step)->ArgsProduct({{0, 1, 2, 3, 4}, {16, 1'000}})->Unit(benchmark::kMicrosecond);

BENCHMARK_MAIN();
