#include "exporters/prometheus.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace llmd {
namespace {

TEST(Prometheus, WritesHelpAndTypeOnceAFamily) {
  MetricsRegistry registry;
  registry.counter("hits_total", "Hits so far.", {{"model", "a"}}).add(3);
  registry.counter("hits_total", "Hits so far.", {{"model", "b"}}).add(0.5);
  registry.gauge("load", "Now.").set(-2);
  EXPECT_EQ(render_prometheus(registry),
            "# HELP hits_total Hits so far.\n"
            "# TYPE hits_total counter\n"
            "hits_total{model=\"a\"} 3\n"
            "hits_total{model=\"b\"} 0.5\n"
            "# HELP load Now.\n"
            "# TYPE load gauge\n"
            "load -2\n");
}

TEST(Prometheus, WritesCumulativeBucketsUpToInfinity) {
  MetricsRegistry registry;
  Histogram& histogram = registry.histogram("wait_seconds", "Wait.", std::array<double, 2>{0.001, 2.5}, {{"m", "a"}});
  histogram.observe(0.0005);
  histogram.observe(7);
  EXPECT_EQ(render_prometheus(registry),
            "# HELP wait_seconds Wait.\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{m=\"a\",le=\"0.001\"} 1\n"
            "wait_seconds_bucket{m=\"a\",le=\"2.5\"} 1\n"
            "wait_seconds_bucket{m=\"a\",le=\"+Inf\"} 2\n"
            "wait_seconds_sum{m=\"a\"} 7.0005\n"
            "wait_seconds_count{m=\"a\"} 2\n");
}

TEST(Prometheus, EscapesLabelsAndHelpSoThatALineStaysALine) {
  MetricsRegistry registry;
  registry.gauge("g", "a\nb\\c \"d\"", {{"path", "x\"y\\z\n"}}).set(std::numeric_limits<double>::infinity());
  EXPECT_EQ(render_prometheus(registry),
            "# HELP g a\\nb\\\\c \"d\"\n"
            "# TYPE g gauge\n"
            "g{path=\"x\\\"y\\\\z\\n\"} +Inf\n");
}

}  // namespace
}  // namespace llmd
