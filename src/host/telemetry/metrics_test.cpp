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

TEST(MetricsRegistry, ShowsADeclaredFamilyBeforeItHasASeries) {
  MetricsRegistry registry;
  registry.declare({.name = "hits_total", .type = MetricType::kCounter, .help = "Hits.", .series_max = 1});
  ASSERT_EQ(registry.collect().size(), 1U);
  EXPECT_TRUE(registry.collect()[0].series.empty());
  registry.counter("hits_total", "ignored", {{"model", "a"}});
  registry.counter("hits_total", "ignored", {{"model", "b"}}).add(3);
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].help, "Hits.");
  ASSERT_EQ(families[0].series.size(), 2U);  // what the declaration allows, and "other"
  EXPECT_EQ(families[0].series[1].labels, (LabelSet{{"model", "other"}}));
}

TEST(MetricsRegistry, ShowsAFamilyOnceMoreUnderItsAliasWithFewerLabels) {
  MetricsRegistry registry;
  registry.declare({.name = "size_bytes", .type = MetricType::kHistogram, .help = "Sizes."});
  const std::array<std::pair<std::string_view, std::string_view>, 1> labels{{{"model", "model_name"}}};
  for (int i = 0; i < 2; ++i) registry.alias({.name = "sizes", .help = "Old.", .of = "size_bytes", .labels = labels});
  ASSERT_EQ(registry.collect().size(), 2U);
  const std::array<double, 2> bounds{1, 2};
  registry.histogram("size_bytes", "", bounds, {{"tenant", "x"}, {"model", "a"}}).observe(0.5);
  registry.histogram("size_bytes", "", bounds, {{"tenant", "y"}, {"model", "a"}}).observe(7);
  registry.histogram("size_bytes", "", bounds, {{"tenant", "x"}, {"model", "b"}}).observe(1.5);
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 2U);
  EXPECT_EQ(families[0].series.size(), 3U);
  const MetricsRegistry::Family& old = families[1];
  EXPECT_EQ(old.name, "sizes");
  ASSERT_EQ(old.series.size(), 2U);
  EXPECT_EQ(old.series[0].labels, (LabelSet{{"model_name", "a"}}));
  const Histogram::View a = old.series[0].histogram->view();
  EXPECT_EQ(a.cumulative, (std::vector<std::uint64_t>{1, 1, 2}));
  EXPECT_DOUBLE_EQ(a.sum, 7.5);
  EXPECT_EQ(old.series[1].histogram->view().cumulative, (std::vector<std::uint64_t>{0, 1, 1}));
  // The family itself is as it was.
  EXPECT_EQ(families[0].series[0].histogram->view().count, 1U);
}

TEST(MetricsRegistry, AddsUpCountersAndGaugesOfAnAlias) {
  MetricsRegistry registry;
  registry.declare({.name = "n_total", .type = MetricType::kCounter});
  registry.declare({.name = "running", .type = MetricType::kGauge});
  registry.alias({.name = "old_total", .of = "n_total"});
  registry.alias({.name = "old_running", .of = "running"});
  registry.alias({.name = "of_nothing", .of = "not_declared"});
  for (const char* tenant : {"x", "y", "z"}) {
    registry.counter("n_total", "", {{"tenant", tenant}}).add(2);
    registry.gauge("running", "", {{"tenant", tenant}}).set(-1);
  }
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 4U);
  EXPECT_EQ(families[1].series.at(0).counter->value(), 6);
  EXPECT_EQ(families[3].series.at(0).gauge->value(), -3);
}

TEST(MetricsRegistry, TakesARemovedSeriesOffThePage) {
  MetricsRegistry registry;
  registry.gauge("queue", "", {{"endpoint", "a"}}).set(1);
  registry.gauge("queue", "", {{"endpoint", "b"}}).set(2);
  const auto before = registry.collect();
  registry.remove("queue", {{"endpoint", "a"}});
  registry.remove("queue", {{"endpoint", "a"}});
  registry.remove("unknown", {});
  const auto families = registry.collect();
  ASSERT_EQ(families[0].series.size(), 1U);
  EXPECT_EQ(families[0].series[0].labels, (LabelSet{{"endpoint", "b"}}));
  EXPECT_EQ(before[0].series[0].gauge->value(), 1);  // a page that is being made still reads it
  EXPECT_EQ(registry.gauge("queue", "", {{"endpoint", "a"}}).value(), 0);
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

TEST(MetricsRegistry, AViewAddsItsLabelsAndTakesItsRefreshersAlong) {
  MetricsRegistry registry;
  int refreshed = 0;
  {
    MetricsRegistry view{registry, {{"pool", "a"}}};
    view.counter("hits_total", "Hits.", {{"kind", "x"}}).add(2);
    view.gauge("depth", "Depth.", {{"pool", "own"}}).set(3);
    view.on_collect([&refreshed] { ++refreshed; });
    (void)view.collect();
    EXPECT_EQ(refreshed, 1);
    view.counter("gone_total", "Gone.");
    view.remove("gone_total", {});
  }
  EXPECT_EQ(registry.counter("hits_total", "", {{"kind", "x"}, {"pool", "a"}}).value(), 2);
  EXPECT_EQ(registry.gauge("depth", "", {{"pool", "own"}}).value(), 3) << "a label of the name stays";
  for (const auto& family : registry.collect()) {
    EXPECT_TRUE(family.name != "gone_total" || family.series.empty());
  }
  EXPECT_EQ(refreshed, 1) << "a view that is gone is not refreshed";
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
