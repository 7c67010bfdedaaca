#include "telemetry/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "telemetry/log_metrics.h"
#include "telemetry/metrics.h"

namespace llmd {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

/// Puts a pipe in the place of stderr while it lives.
class StderrPipe {
 public:
  StderrPipe() : saved_{::dup(STDERR_FILENO)} {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_NONBLOCK), 0);
    read_end_ = ends[0];
    EXPECT_GE(::dup2(ends[1], STDERR_FILENO), 0);
    ::close(ends[1]);
    ::fcntl(STDERR_FILENO, F_SETFL, 0);  // a blocking pipe, as a real one is
  }
  ~StderrPipe() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    close_read_end();
  }
  StderrPipe(const StderrPipe&) = delete;
  StderrPipe& operator=(const StderrPipe&) = delete;

  std::string take() {
    std::string text(1 << 17, '\0');
    const ssize_t bytes = ::read(read_end_, text.data(), text.size());
    text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    return text;
  }
  void close_read_end() {
    if (read_end_ >= 0) ::close(read_end_);
    read_end_ = -1;
  }

 private:
  int saved_;
  int read_end_ = -1;
};

TEST(Log, WritesOneJsonObjectALineWhenStderrIsNoTerminal) {
  StderrPipe pipe;
  log::init({.level = log::Level::kInfo, .format = log::Format::kAuto, .component = "gateway"});
  log::write(log::Level::kWarn, "req-1", "a \"quoted\"\nmessage\x01");
  const std::string line = pipe.take();
  EXPECT_THAT(line, HasSubstr(R"("level":"warn","component":"gateway","request_id":"req-1")"));
  EXPECT_THAT(line, EndsWith("\"message\":\"a \\\"quoted\\\"\\nmessage\\u0001\"}\n"));
}

TEST(Log, KeepsTextLinesFreeOfLineBreaksAndControlBytes) {
  StderrPipe pipe;
  log::init({.level = log::Level::kInfo, .format = log::Format::kText, .component = "worker"});
  log::info("first\nsecond \x1b[31m {}", 7);
  EXPECT_THAT(pipe.take(), EndsWith(" info  worker: first | second \\x1b[31m 7\n"));
}

TEST(Log, DropsLinesBelowTheLevel) {
  StderrPipe pipe;
  log::init({.level = log::Level::kWarn, .format = log::Format::kText, .component = ""});
  log::info("hidden");
  EXPECT_EQ(pipe.take(), "");
  log::error("shown");
  EXPECT_THAT(pipe.take(), HasSubstr("shown"));
}

TEST(Log, CutsALineSoThatAPipeTakesItInOnePiece) {
  for (const auto format : {log::Format::kText, log::Format::kJson}) {
    StderrPipe pipe;
    log::init({.level = log::Level::kInfo, .format = format, .component = std::string(2'000, 'c')});
    log::write(log::Level::kInfo, std::string(2'000, 'r'), std::string(10'000, '\x02'));
    const std::string line = pipe.take();
    EXPECT_LE(line.size(), 4'096U);
    EXPECT_THAT(line, HasSubstr("...[cut]"));
    EXPECT_THAT(line, EndsWith("\n"));
  }
}

TEST(Log, CountsLinesThatAFullPipeCannotTakeAndNeverBlocks) {
  StderrPipe pipe;
  log::init({.level = log::Level::kInfo, .format = log::Format::kJson, .component = ""});
  const std::uint64_t before = log::lost_lines();
  const std::string message(3'000, 'x');
  for (int i = 0; i < 64; ++i) log::write(log::Level::kInfo, {}, message);  // 192 kB into a pipe of 64 kB
  EXPECT_GT(log::lost_lines(), before + 30);
}

TEST(Log, CountsLinesThatAClosedPipeLoses) {
  const auto old_handler = std::signal(SIGPIPE, SIG_IGN);
  StderrPipe pipe;
  log::init({.level = log::Level::kInfo, .format = log::Format::kJson, .component = ""});
  pipe.close_read_end();
  const std::uint64_t before = log::lost_lines();
  log::info("nobody reads");
  EXPECT_EQ(log::lost_lines(), before + 1);
  std::signal(SIGPIPE, old_handler);
}

TEST(Log, SaysOnceThatLinesWereLostWhenTheOutputTakesLinesAgain) {
  StderrPipe pipe;
  log::init({.level = log::Level::kInfo, .format = log::Format::kText, .component = ""});
  log::info("what earlier tests lost is told now");
  const std::uint64_t before = log::lost_lines();
  const std::string message(3'000, 'x');
  for (int i = 0; i < 64; ++i) log::info("{}", message);
  const std::uint64_t lost = log::lost_lines() - before;
  ASSERT_GT(lost, 30U);
  pipe.take();
  log::info("back");
  log::info("on");
  const std::string text = pipe.take();
  EXPECT_THAT(text, HasSubstr(fmt::format("{} log lines were lost", lost)));
  EXPECT_THAT(text, HasSubstr(" back\n"));
  EXPECT_EQ(text.find("were lost"), text.rfind("were lost"));
}

TEST(Log, PutsLinesOfOthersAsTheyAreAndCountsThoseThatADescriptorCannotTake) {
  StderrPipe pipe;
  log::put_line(STDERR_FILENO, "[worker-0] hello\n");
  EXPECT_THAT(pipe.take(), EndsWith("[worker-0] hello\n"));
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  const std::uint64_t before = log::lost_lines();
  log::put_line(full, "a line\n");
  ::close(full);
  EXPECT_EQ(log::lost_lines(), before + 1);
}

TEST(Log, TellsHowManyLinesWereLostAsAMetric) {
  MetricsRegistry registry;
  log::add_metrics(registry);
  const auto lost = [&registry] {
    for (const MetricsRegistry::Family& family : registry.collect()) {
      if (family.name == "llmd_log_lines_lost_total") return family.series.at(0).counter->value();
    }
    return -1.0;
  };
  const double before = lost();
  log::put_line(-1, "nowhere\n");
  EXPECT_EQ(lost(), before + 1);
}

TEST(Log, ReadsTheNamesThatCommandLinesTake) {
  EXPECT_EQ(log::level_from_name("debug"), log::Level::kDebug);
  EXPECT_EQ(log::level_from_name("info"), log::Level::kInfo);
  EXPECT_EQ(log::level_from_name("warn"), log::Level::kWarn);
  EXPECT_EQ(log::level_from_name("error"), log::Level::kError);
  EXPECT_EQ(log::format_from_name("auto"), log::Format::kAuto);
  EXPECT_EQ(log::format_from_name("text"), log::Format::kText);
  EXPECT_EQ(log::format_from_name("json"), log::Format::kJson);
}

}  // namespace
}  // namespace llmd
