#include "telemetry/metrics.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace llmd {
namespace {

TEST(MetricsRegistry, ReturnsTheSameSeriesForTheSameLabels) {
  MetricsRegistry registry;
  Counter& first = registry.counter("hits_total", "Hits.", {{"model", "a"}});
  Counter& second = registry.counter("hits_total", "Hits.", {{"model", "b"}});
  first.add(2);
  EXPECT_EQ(&first, &registry.counter("hits_total", "ignored", {{"model", "a"}}));
  EXPECT_NE(&first, &second);
  EXPECT_EQ(second.value(), 0);
}

TEST(MetricsRegistry, DoesNotMixUpLabelsThatConcatenateToTheSameText) {
  MetricsRegistry registry;
  Counter& first = registry.counter("x_total", "", {{"a", "bc"}});
  EXPECT_NE(&first, &registry.counter("x_total", "", {{"ab", "c"}}));
}

TEST(MetricsRegistry, FoldsSeriesBeyondTheBoundIntoOther) {
  MetricsRegistry registry;
  for (std::size_t i = 0; i < MetricsRegistry::kSeriesMax; ++i) {
    registry.gauge("load", "Load.", {{"endpoint", std::to_string(i)}}).set(1);
  }
  Gauge& beyond = registry.gauge("load", "Load.", {{"endpoint", "one too many"}});
  EXPECT_EQ(&beyond, &registry.gauge("load", "Load.", {{"endpoint", "another"}}));
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].series.size(), MetricsRegistry::kSeriesMax + 1);
  EXPECT_EQ(families[0].series.back().labels, (LabelSet{{"endpoint", "other"}}));
}

TEST(MetricsRegistry, RefreshesLiveGaugesBeforeEachCollection) {
  MetricsRegistry registry;
  Gauge& gauge = registry.gauge("queue", "Queued.");
  int source = 7;
  registry.on_collect([&] { gauge.set(source); });
  EXPECT_EQ(registry.collect()[0].series[0].gauge->value(), 7);
  source = 9;
  EXPECT_EQ(registry.collect()[0].series[0].gauge->value(), 9);
}

TEST(MetricsRegistry, KeepsFamiliesInTheOrderOfTheirFirstRegistration) {
  MetricsRegistry registry;
  registry.counter("zebra_total", "");
  registry.gauge("ant", "");
  registry.counter("zebra_total", "", {{"a", "b"}});
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 2U);
  EXPECT_EQ(families[0].name, "zebra_total");
  EXPECT_EQ(families[1].name, "ant");
}

TEST(Histogram, PutsAValueOnABoundIntoTheBucketOfThatBound) {
  const std::array<double, 2> bounds{1, 2};
  Histogram histogram{bounds};
  for (const double value : {0.5, 1.0, 1.5, 2.0, 99.0}) histogram.observe(value);
  const Histogram::View view = histogram.view();
  EXPECT_EQ(view.cumulative, (std::vector<std::uint64_t>{2, 4, 5}));
  EXPECT_EQ(view.count, 5U);
  EXPECT_DOUBLE_EQ(view.sum, 104.0);
}

TEST(MetricsRegistry, CountsEveryIncrementOfConcurrentThreads) {
  MetricsRegistry registry;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1'000; ++n) registry.counter("n_total", "", {{"parity", n % 2 == 0 ? "even" : "odd"}}).add();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(registry.counter("n_total", "", {{"parity", "even"}}).value(), 2'000);
  EXPECT_EQ(registry.counter("n_total", "", {{"parity", "odd"}}).value(), 2'000);
}

}  // namespace
}  // namespace llmd
