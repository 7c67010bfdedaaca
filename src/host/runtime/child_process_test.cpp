#include "runtime/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <optional>

#include "runtime/testing/run.h"

namespace llmd {
namespace {

using testing::ElementsAre;
using testkit::run_until;

struct Output {
  std::vector<std::string> out;
  std::vector<std::string> err;
  std::optional<ChildExit> exit;

  [[nodiscard]] ChildOptions options(std::string script, std::vector<std::string> environment = {}) {
    return {
        .argv = {"/bin/sh", "-c", std::move(script)},
        .environment = std::move(environment),
        .on_line = [this](ChildStream stream,
                          std::string_view line) { (stream == ChildStream::kStdout ? out : err).emplace_back(line); },
        .on_exit = [this](const ChildExit& seen) { exit = seen; }};
  }
};

/// Whether the process runs; one that is dead and only waits for its parent does not.
bool exists(pid_t pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
  std::string text;
  return std::getline(file, text) && text.find(") Z ") == std::string::npos;
}

TEST(ChildProcess, GivesBothStreamsLineByLineAndThenTheExitCode) {
  Loop loop{"test"};
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("echo one; echo two >&2; printf 'no end'; exit 3"));
  ASSERT_TRUE(child.has_value()) << child.error().to_string();
  run_until(loop, [&] { return run.exit.has_value(); });
  EXPECT_THAT(run.out, ElementsAre("one", "no end"));
  EXPECT_THAT(run.err, ElementsAre("two"));
  EXPECT_EQ(run.exit->to_string(), "exit code 3");
  EXPECT_FALSE((*child)->running());
}

TEST(ChildProcess, AddsToTheEnvironmentAndReplacesEqualNames) {
  Loop loop{"test"};
  ::setenv("LLMD_TEST_INHERITED", "old", 1);
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("echo $LLMD_TEST_INHERITED $LLMD_TEST_NEW",
                                                     {"LLMD_TEST_INHERITED=replaced", "LLMD_TEST_NEW=1"}));
  ASSERT_TRUE(child.has_value());
  run_until(loop, [&] { return run.exit.has_value(); });
  EXPECT_THAT(run.out, ElementsAre("replaced 1"));
}

TEST(ChildProcess, CutsEndlessLinesIntoBoundedPieces) {
  Loop loop{"test"};
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("head -c 40000 /dev/zero | tr '\\0' x"));
  ASSERT_TRUE(child.has_value());
  run_until(loop, [&] { return run.exit.has_value(); });
  ASSERT_EQ(run.out.size(), 3U);
  EXPECT_EQ(run.out[0].size(), ChildProcess::kLineBytesMax);
  EXPECT_EQ(run.out[2].size(), 40'000 - 2 * ChildProcess::kLineBytesMax);
}

TEST(ChildProcess, SaysWhichProgramCannotBeRun) {
  Loop loop{"test"};
  const auto child = ChildProcess::spawn(loop, {.argv = {"/no/such/program"}, .environment = {}});
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().to_string(),
            "file_not_found: cannot run /no/such/program: No such file or directory (give the path of an executable "
            "program)");
}

TEST(ChildProcess, EndsOnTerminateAndReportsTheSignal) {
  Loop loop{"test"};
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("exec sleep 100"));
  ASSERT_TRUE(child.has_value());
  (*child)->terminate(seconds{10});
  run_until(loop, [&] { return run.exit.has_value(); });
  EXPECT_EQ(run.exit->signal, SIGTERM);
}

TEST(ChildProcess, IsKilledWhenItDoesNotEndWithinTheGrace) {
  Loop loop{"test"};
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("trap '' TERM; echo ready; while :; do sleep 100; done"));
  ASSERT_TRUE(child.has_value());
  run_until(loop, [&] { return !run.out.empty(); });
  (*child)->terminate(milliseconds{20});
  run_until(loop, [&] { return run.exit.has_value(); });
  EXPECT_EQ(run.exit->signal, SIGKILL);
}

TEST(ChildProcess, LeavesNoGrandchildWhenTheChildEnds) {
  Loop loop{"test"};
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("sleep 100 & echo $!"));
  ASSERT_TRUE(child.has_value());
  run_until(loop, [&] { return run.exit.has_value(); });
  const pid_t grandchild = std::stoi(run.out.at(0));
  run_until(loop, [&] { return !exists(grandchild); });
}

TEST(ChildProcess, LeavesNothingWhenTheObjectIsDestroyed) {
  Loop loop{"test"};
  Output run;
  auto child = ChildProcess::spawn(loop, run.options("echo ready; sleep 100"));
  ASSERT_TRUE(child.has_value());
  run_until(loop, [&] { return !run.out.empty(); });
  const pid_t pid = (*child)->pid();
  child->reset();
  run_until(loop, [&] { return !exists(pid); });
  EXPECT_FALSE(run.exit.has_value()) << "no callback after destruction";
}

TEST(ChildProcess, LeavesNothingWhenTheLoopGoesFirst) {
  Output run;
  pid_t pid = 0;
  std::unique_ptr<ChildProcess> kept;
  {
    Loop loop{"test"};
    auto child = ChildProcess::spawn(loop, run.options("sleep 100"));
    ASSERT_TRUE(child.has_value());
    pid = (*child)->pid();
    child->reset();
  }
  EXPECT_FALSE(exists(pid));
}

/// A process that spawns a child with a grandchild, tells their ids, and waits to be killed.
[[noreturn]] void be_a_parent(int report_fd) {
  Loop loop{"parent"};
  std::string ids;
  auto child = ChildProcess::spawn(loop, {.argv = {"/bin/sh", "-c", "sleep 100 & echo $$ $!; wait"},
                                          .environment = {},
                                          .on_line = [&](ChildStream, std::string_view line) {
                                            ids = std::string{line} + "\n";
                                            [[maybe_unused]] const ssize_t written =
                                                ::write(report_fd, ids.data(), ids.size());
                                          }});
  loop.run();
  ::_exit(0);
}

TEST(ChildProcess, LeavesNeitherChildNorGrandchildWhenTheParentIsKilled) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t parent = ::fork();
  if (parent == 0) be_a_parent(ends[1]);
  ::close(ends[1]);
  std::string text(64, '\0');
  const ssize_t bytes = ::read(ends[0], text.data(), text.size());
  ASSERT_GT(bytes, 0);
  const pid_t child = std::stoi(text);
  const pid_t grandchild = std::stoi(text.substr(text.find(' ')));
  ASSERT_TRUE(exists(child) && exists(grandchild));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  Loop loop{"test"};
  run_until(loop, [&] { return !exists(child) && !exists(grandchild); });
  ::close(ends[0]);
}

}  // namespace
}  // namespace llmd
