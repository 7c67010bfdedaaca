#include "eppmetrics/program_metrics.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::eppmetrics {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};

struct Page {
  double read(const std::string& name, const std::string& program = {}) {
    for (const auto& family : metrics.collect()) {
      if (family.name != "llm_d_epp_program_aware_" + name) continue;
      for (const auto& series : family.series)
        if (program.empty() || series.labels[0].second == program) return series.gauge->value();
    }
    return -1;
  }
  MetricsRegistry metrics;
  ProgramMetrics programs{metrics};
};

TEST(ProgramMetrics, ShowsMeanWaitsTokensAndHowEvenTheWaitsAre) {
  Page page;
  EXPECT_EQ(page.read("jains_fairness_index"), -1) << "nothing before a program is served";
  page.programs.dispatched("a", milliseconds{10}, kNow);
  EXPECT_EQ(page.read("jains_fairness_index"), 1);
  page.programs.dispatched("a", milliseconds{30}, kNow);
  page.programs.dispatched("b", milliseconds{60}, kNow);
  page.programs.finished("b", 120.5, kNow);
  EXPECT_DOUBLE_EQ(page.read("avg_wait_time_milliseconds", "a"), 20);
  EXPECT_DOUBLE_EQ(page.read("avg_wait_time_milliseconds", "b"), 60);
  EXPECT_EQ(page.read("attained_service_tokens", "b"), 120.5);
  EXPECT_DOUBLE_EQ(page.read("jains_fairness_index"), 80.0 * 80 / (2 * (400 + 3'600)));
}

TEST(ProgramMetrics, ForgetsTheIdle) {
  Page page;
  page.programs.dispatched("a", milliseconds{10}, kNow);
  page.programs.dispatched("b", milliseconds{60}, kNow + seconds{10});
  page.programs.forget_idle(kNow + ProgramMetrics::kIdleMax);
  EXPECT_EQ(page.read("avg_wait_time_milliseconds", "a"), 0);
  EXPECT_EQ(page.read("avg_wait_time_milliseconds", "b"), 60);
  EXPECT_EQ(page.read("jains_fairness_index"), 1) << "one is left";
}

TEST(ProgramMetrics, BeyondItsBoundProgramsShareOneSeries) {
  Page page;
  for (std::size_t i = 0; i < ProgramMetrics::kProgramsMax + 5; ++i)
    page.programs.dispatched(std::to_string(i), milliseconds{10}, kNow);
  page.programs.dispatched("late", milliseconds{70}, kNow);
  EXPECT_DOUBLE_EQ(page.read("avg_wait_time_milliseconds", "other"), 20) << "five of 10 ms, and one of 70";
  EXPECT_EQ(page.read("avg_wait_time_milliseconds", "late"), -1);
}

}  // namespace
}  // namespace llmd::eppmetrics
