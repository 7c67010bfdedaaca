#include "apps/up/supervisor.h"

#include <gtest/gtest.h>

#include <csignal>

#include "runtime/testing/run.h"

namespace llmd::up {
namespace {

struct Told {
  std::vector<std::string> lines;
  std::vector<std::string> exits;
  std::vector<Duration> pauses;
  int restarts = 0;
  int useless = 0;

  SupervisorHooks hooks() {
    return {.on_line = [this](const WorkerSpec&, std::string_view line) { lines.emplace_back(line); },
            .on_exit =
                [this](const WorkerSpec&, const ChildExit& exit, Duration pause) {
                  exits.push_back(exit.to_string());
                  pauses.push_back(pause);
                },
            .on_restart = [this](const WorkerSpec&) { ++restarts; },
            .on_useless = [this](const WorkerSpec&, const ChildExit&) { ++useless; }};
  }
};

WorkerSpec shell(const std::string& script) {
  return {.name = "worker-0", .role = EndpointRole::kUnified, .socket = {}, .argv = {"/bin/sh", "-c", script}};
}

TEST(Supervisor, StartsAKilledWorkerAgainWithLongerAndLongerPauses) {
  Loop loop{"test"};
  Told told;
  Supervisor supervisor{loop, {shell("echo up; exec sleep 60")}, {.backoff_min = milliseconds{10}}, told.hooks()};
  ASSERT_TRUE(supervisor.start());
  for (std::size_t run = 1; run <= 3; ++run) {
    testkit::run_until(loop, [&] { return told.lines.size() == run; });
    ASSERT_EQ(::kill(supervisor.pid_of("worker-0"), SIGKILL), 0);
    testkit::run_until(loop, [&] { return told.exits.size() == run; });
  }
  EXPECT_EQ(told.exits.front(), "signal 9 (Killed)");
  EXPECT_EQ(told.pauses, (std::vector<Duration>{milliseconds{10}, milliseconds{20}, milliseconds{40}}));
  EXPECT_EQ(told.useless, 0);
  testkit::run_task(loop, supervisor.stop());
  EXPECT_EQ(supervisor.pid_of("worker-0"), 0);
}

TEST(Supervisor, GivesUpOnAWorkerThatFailsBeforeItWasEverReady) {
  Loop loop{"test"};
  Told told;
  Supervisor supervisor{loop, {shell("echo no model >&2; exit 1")}, {}, told.hooks()};
  ASSERT_TRUE(supervisor.start());
  testkit::run_until(loop, [&] { return told.useless == 1; });
  EXPECT_EQ(told.lines, std::vector<std::string>{"no model"});
  EXPECT_EQ(told.restarts, 0);
}

TEST(Supervisor, StartsAWorkerAgainThatFailsAfterItWasReady) {
  Loop loop{"test"};
  Told told;
  Supervisor supervisor{loop, {shell("exit 1")}, {.backoff_min = milliseconds{5}}, told.hooks()};
  ASSERT_TRUE(supervisor.start());
  supervisor.set_ready("worker-0");
  testkit::run_until(loop, [&] { return told.restarts >= 2; });
  EXPECT_EQ(told.useless, 0);
  testkit::run_task(loop, supervisor.stop());
}

TEST(Supervisor, KillsWhatDoesNotEndWithinItsGrace) {
  Loop loop{"test"};
  Told told;
  Supervisor supervisor{loop,
                        {shell("trap '' TERM; echo up; while :; do sleep 1; done")},
                        {.stop_grace = milliseconds{100}},
                        told.hooks()};
  ASSERT_TRUE(supervisor.start());
  testkit::run_until(loop, [&] { return !told.lines.empty(); });
  testkit::run_task(loop, supervisor.stop(), seconds{10});
  EXPECT_EQ(supervisor.pid_of("worker-0"), 0);
  EXPECT_TRUE(told.exits.empty()) << "an end that was asked for is no failure";
}

TEST(Supervisor, SaysWhichProgramIsMissing) {
  Loop loop{"test"};
  Told told;
  Supervisor supervisor{
      loop,
      {{.name = "worker-0", .role = EndpointRole::kUnified, .socket = {}, .argv = {"/no/such/program"}}},
      {},
      told.hooks()};
  const auto started = supervisor.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kFileNotFound);
}

}  // namespace
}  // namespace llmd::up
