#include "exporters/page_merger.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "exporters/prometheus.h"

namespace llmd {
namespace {

TEST(PageMerger, JoinsFamiliesOfSeveralPagesUnderOneHelpAndType) {
  PageMerger merger;
  merger.add("# HELP a_total Ours.\n# TYPE a_total counter\na_total 1\n# TYPE only_here gauge\nonly_here 2\n");
  merger.add("# HELP a_total Theirs.\n# TYPE a_total counter\na_total{x=\"y\"} 3\n", "worker", "w0");
  merger.add("# TYPE b gauge\nb 4 1700000000000\n# TYPE a_total counter\na_total{x=\"y\"} 5\n", "worker", "w\"1\n");
  EXPECT_EQ(merger.render(),
            "# HELP a_total Ours.\n"
            "# TYPE a_total counter\n"
            "a_total 1\n"
            "a_total{worker=\"w0\",x=\"y\"} 3\n"
            "a_total{worker=\"w\\\"1\\n\",x=\"y\"} 5\n"
            "# TYPE only_here gauge\n"
            "only_here 2\n"
            "# TYPE b gauge\n"
            "b{worker=\"w\\\"1\\n\"} 4 1700000000000\n");
  EXPECT_EQ(merger.dropped_lines(), 0U);
}

TEST(PageMerger, KeepsTheSeriesOfAHistogramTogether) {
  const std::string page =
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n# TYPE h_total "
      "counter\nh_total 1\n";
  PageMerger merger;
  merger.add(page);
  merger.add(page, "worker", "w");
  EXPECT_EQ(merger.render(),
            "# TYPE h histogram\n"
            "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
            "h_bucket{worker=\"w\",le=\"1\"} 1\nh_bucket{worker=\"w\",le=\"+Inf\"} 2\nh_sum{worker=\"w\"} "
            "3\nh_count{worker=\"w\"} 2\n"
            "# TYPE h_total counter\nh_total 1\nh_total{worker=\"w\"} 1\n");
}

TEST(PageMerger, RenamesALabelThatTheSeriesHasAlready) {
  PageMerger merger;
  merger.add("a{worker=\"liar\",b=\"c\"} 1\n", "worker", "w0");
  EXPECT_EQ(merger.render(), "a{worker=\"w0\",exported_worker=\"liar\",b=\"c\"} 1\n");
}

TEST(PageMerger, KeepsEscapesInLabelValuesAsTheyAre) {
  PageMerger merger;
  merger.add("a{p=\"x\\\"} 9\\\\\\n\", } +Inf\n", "w", "0");
  EXPECT_EQ(merger.render(), "a{w=\"0\",p=\"x\\\"} 9\\\\\\n\"} +Inf\n");
}

struct Bad {
  std::string name;
  std::string line;
};

TEST(PageMerger, DropsAndCountsLinesThatAreNoSamples) {
  const std::vector<Bad> cases{
      {"no value", "a"},
      {"text value", "a one"},
      {"hex tail", "a 1x"},
      {"bad timestamp", "a 1 now"},
      {"a third word", "a 1 2 3"},
      {"no name", "{a=\"b\"} 1"},
      {"digit first", "1a 1"},
      {"open labels", "a{b=\"c\" 1"},
      {"open quote", "a{b=\"c} 1"},
      {"unquoted", "a{b=c} 1"},
      {"no comma", "a{b=\"c\"d=\"e\"} 1"},
      {"bad type", "# TYPE a thing"},
      {"nameless type", "# TYPE"},
      {"long line", "a{b=\"" + std::string(PageMerger::kLineBytesMax, 'x') + "\"} 1"},
  };
  for (const Bad& c : cases) {
    PageMerger merger;
    merger.add(c.line + "\nok 1\n");
    EXPECT_EQ(merger.render(), "ok 1\n") << c.name;
    EXPECT_EQ(merger.dropped_lines(), 1U) << c.name;
  }
}

TEST(PageMerger, DropsSeriesWhoseTypeContradictsTheFamilyAndSeriesGivenTwice) {
  PageMerger merger;
  merger.add("# TYPE a counter\na 1\na 2\n");
  merger.add("# TYPE a gauge\na 3\n", "worker", "w");
  merger.add("a 4\n", "worker", "x");
  EXPECT_EQ(merger.render(), "# TYPE a counter\na 1\n");
  EXPECT_EQ(merger.dropped_lines(), 3U);
}

TEST(PageMerger, DropsSeriesThatBelongToAHistogramOnOnePageAndToNoneOnAnother) {
  const std::string histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
  PageMerger histogram_first;
  histogram_first.add(histogram);
  histogram_first.add("h_count 7\n", "worker", "w");
  EXPECT_EQ(histogram_first.render(), histogram);
  PageMerger plain_first;
  plain_first.add("h_count 7\n");
  plain_first.add(histogram, "worker", "w");
  EXPECT_EQ(plain_first.render(), "h_count 7\n");
  EXPECT_EQ(plain_first.dropped_lines(), 4U);
}

TEST(PageMerger, ChangesNothingOnAPageOfOurOwn) {
  MetricsRegistry registry;
  registry.counter("c_total", "C \\ here.", {{"l", "a\"b\nc"}}).add(2.5);
  registry.histogram("h", "H.", std::vector<double>{0.1, 1}, {{"m", "n"}}).observe(0.5);
  registry.gauge("empty", "Registered.");
  const std::string page = render_prometheus(registry);
  PageMerger merger;
  merger.add(page);
  EXPECT_EQ(merger.render(), page);
}

TEST(PageMerger, BoundsFamiliesAndBytes) {
  PageMerger merger;
  std::string page;
  for (std::size_t i = 0; i < PageMerger::kFamiliesMax + 5; ++i) page += fmt::format("f{} 1\n", i);
  merger.add(page);
  EXPECT_EQ(merger.dropped_lines(), 5U);
  merger.add(std::string(PageMerger::kPageBytesMax, '\n') + "late 1\n", "worker", "w");
  EXPECT_EQ(merger.render().find("late"), std::string::npos);
}

}  // namespace
}  // namespace llmd
