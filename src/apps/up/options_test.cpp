#include "apps/up/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace llmd::up {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CommandLine parse(std::vector<std::string> words) {
  words.insert(words.begin(), "llmd up");
  std::vector<const char*> argv;
  for (std::string& word : words) argv.push_back(word.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

TEST(UpOptions, HandsEveryFlagOfAWorkerOn) {
  const std::vector<std::string> flags{
      "--served-model-name", "a",        "--numerics",      "fast", "--tpot-target",     "30",
      "--max-running",       "8",        "--context",       "512",  "--max-waiting",     "9",
      "--step-tokens",       "64",       "--gpu-layers",    "0",    "--pooling",         "mean",
      "--chat-template",     "f",        "--kv-listen",     "none", "--kv-advertise",    "host",
      "--kv-peers",          "10.0.0.1", "--kv-lease",      "7",    "--kv-pull-timeout", "250",
      "--request-timeout",   "60",       "--drain-timeout", "3",    "--log-level",       "warn"};
  const CommandLine line = parse(flags);
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  const std::vector<std::string>& args = line.options->worker_args;
  EXPECT_EQ(args.size(), flags.size());
  for (std::size_t i = 0; i < flags.size(); i += 2) {
    const auto found = std::find(args.begin(), args.end(), flags[i]);
    ASSERT_NE(found, args.end()) << flags[i];
    EXPECT_EQ(found[1], flags[i + 1]);
  }
}

TEST(UpOptions, HandsAFlagWithoutValueOn) {
  const CommandLine line = parse({"--allow-long-context", "--context", "99999"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_THAT(line.options->worker_args, ElementsAre("--context", "99999", "--allow-long-context"));
}

TEST(UpOptions, KeepsMemoryBackForTheWorkersShares) {
  const CommandLine line = parse({"--kv-memory", "64MiB", "--store-memory", "0", "--weights", "mapped"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->worker.kv_bytes, 64U << 20U);
  EXPECT_EQ(line.options->worker.store_bytes, 0U);
  EXPECT_EQ(line.options->worker.weights, "mapped");
  EXPECT_THAT(line.options->worker_args, IsEmpty());
}

TEST(UpOptions, LeavesTheWorkersDefaultsAlone) {
  const CommandLine line = parse({});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_THAT(line.options->worker_args, ElementsAre());
  EXPECT_EQ(line.options->topology.workers(), 1U);
}

TEST(UpOptions, SetsTheGatewaysLimits) {
  const CommandLine line =
      parse({"--max-body", "1MiB", "--max-in-flight", "7", "--max-attempts", "2", "--header-timeout", "3", "--admin",
             "unix:/run/x.sock", "--body-timeout", "4", "--write-timeout", "5", "--drain-timeout", "6"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  const gateway::Options& gateway = line.options->gateway;
  EXPECT_EQ(gateway.body_bytes_max, 1U << 20U);
  EXPECT_EQ(gateway.in_flight_max, 7U);
  EXPECT_EQ(gateway.attempts_max, 2U);
  EXPECT_EQ(gateway.header_timeout, std::chrono::seconds{3});
  EXPECT_EQ(gateway.body_timeout, std::chrono::seconds{4});
  EXPECT_EQ(gateway.write_timeout, std::chrono::seconds{5});
  EXPECT_EQ(gateway.drain_timeout, std::chrono::seconds{6});
  EXPECT_EQ(gateway.admin, "unix:/run/x.sock");
}

TEST(UpOptions, AreRefusedInOneLineWithExitCode2) {
  struct Row {
    std::vector<std::string> arguments;
    const char* named;
  };
  const Row table[] = {
      {{"--topology", "foo:1"}, "--topology is \"foo:1\": roles are unified, prefill and decode"},
      {{"--topology", "prefill:1"}, "--topology"},
      {{"--listen", "nope"}, "--listen: address \"nope\""},
      {{"--listen", "https://127.0.0.1:1"}, "TLS"},
      {{"--admin", "127.0.0.1:1"}, "--admin is \"127.0.0.1:1\"; expected unix:PATH or none"},
      {{"--kv-memory", "1XB"}, "--kv-memory"},
      {{"--store-memory", "-1"}, "--store-memory"},
      {{"--context", "many"}, "--context"},
      {{"--numerics", "slow"}, "--numerics"},
      {{"--weights", "lost"}, "--weights"},
      {{"--weights", "packed", "--numerics", "fast"}, "--weights packed"},
      {{"--tokenize", "nobody"}, "--tokenize"},
      {{"--threads", "2000"}, "--threads"},
      {{"--served-model-name", ""}, "--served-model-name"},
      {{"--kv-listen", "127.0.0.1:5600", "--topology", "prefill:2,decode:1"}, "3 workers cannot share it"},
      {{"surplus"}, "surplus"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(testing::PrintToString(row.arguments));
    const CommandLine line = parse(row.arguments);
    EXPECT_FALSE(line.options.has_value());
    EXPECT_EQ(line.ending.exit_code, 2);
    EXPECT_THAT(line.ending.text, HasSubstr("llmd up: "));
    EXPECT_THAT(line.ending.text, HasSubstr(row.named));
    EXPECT_EQ(line.ending.text.find('\n'), line.ending.text.size() - 1) << line.ending.text;
  }
}

}  // namespace
}  // namespace llmd::up
