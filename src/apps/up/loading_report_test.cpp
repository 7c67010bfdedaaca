#include "apps/up/loading_report.h"

#include <gtest/gtest.h>

namespace llmd::up {
namespace {

TEST(LoadingReport, WritesOneLineOverOnATerminal) {
  LoadingReport report{{.terminal = true}};
  EXPECT_EQ(report.clear(), "") << "nothing was shown yet";
  EXPECT_EQ(report.next({.model = "m", .elapsed = milliseconds{400}}), "\r\x1b[Kloading m, 0 s\r");
  EXPECT_EQ(report.next({.model = "m", .elapsed = milliseconds{450}}), "") << "nothing has changed";
  EXPECT_EQ(report.next({.model = "m", .workers_ready = 1, .workers = 2, .percent = 40, .elapsed = seconds{3}}),
            "\r\x1b[Kloading m 40 %, 3 s, 1 of 2 workers ready\r");
  EXPECT_EQ(report.clear(), "\r\x1b[K");
  EXPECT_EQ(report.clear(), "");
}

TEST(LoadingReport, IsNeverLongerThanTheLogLineThatCoversIt) {
  LoadingReport report{{.terminal = true}};
  const std::string long_name(200, 'x');
  EXPECT_LT(report.next({.model = long_name, .workers = 64, .percent = 99, .elapsed = seconds{9'999}}).size(), 90U);
}

TEST(LoadingReport, WritesFewLinesElsewhereHoweverLongItTakes) {
  LoadingReport report{{.terminal = false}};
  std::size_t lines = 0;
  for (milliseconds elapsed{0}; elapsed <= std::chrono::hours{1}; elapsed += milliseconds{50}) {
    const std::string line = report.next({.model = "m", .elapsed = elapsed});
    if (line.empty()) continue;
    EXPECT_EQ(line.back(), '\n');
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    if (++lines == 1) {
      EXPECT_EQ(line, "loading m, 2 s\n");
    }
  }
  EXPECT_EQ(lines, 11U);
  EXPECT_EQ(report.clear(), "");
}

}  // namespace
}  // namespace llmd::up
