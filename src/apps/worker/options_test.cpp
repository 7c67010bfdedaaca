#include "apps/worker/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace llmd::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "worker");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(WorkerOptions, HaveDefaultsThatNeedAModelOnly) {
  const CommandLine line = parse({"--model", "/models/a.Q4.gguf"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->model_path, "/models/a.Q4.gguf");
  EXPECT_THAT(line.options->served_names, ElementsAre("a.Q4"));
  EXPECT_EQ(line.options->listen, "127.0.0.1:8081");
  EXPECT_EQ(line.options->role, Role::kUnified);
  EXPECT_FALSE(line.options->store_bytes.has_value());
  EXPECT_EQ(line.options->waiting_max, 1'024U);
}

TEST(WorkerOptions, ReadEveryFlag) {
  const CommandLine line = parse({"--model",
                                  "m.gguf",
                                  "--served-model-name",
                                  "a",
                                  "--served-model-name",
                                  "b",
                                  "--role",
                                  "decode",
                                  "--listen",
                                  "unix:/tmp/x",
                                  "--threads",
                                  "3",
                                  "--kv-memory",
                                  "1GiB",
                                  "--store-memory",
                                  "512MiB",
                                  "--context",
                                  "4096",
                                  "--allow-long-context",
                                  "--max-waiting",
                                  "7",
                                  "--numerics",
                                  "fast",
                                  "--tpot-target",
                                  "12.5",
                                  "--max-body",
                                  "1MiB",
                                  "--request-timeout",
                                  "9",
                                  "--drain-timeout",
                                  "0",
                                  "--log-level",
                                  "debug",
                                  "--log-format",
                                  "json",
                                  "--chat-template",
                                  "t.jinja"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  const Options& options = *line.options;
  EXPECT_THAT(options.served_names, ElementsAre("a", "b"));
  EXPECT_EQ(options.role, Role::kDecode);
  EXPECT_EQ(options.listen, "unix:/tmp/x");
  EXPECT_EQ(options.threads, 3U);
  EXPECT_EQ(options.kv_bytes, 1ULL << 30U);
  EXPECT_EQ(options.store_bytes, 512ULL << 20U);
  EXPECT_EQ(options.context_tokens, 4'096U);
  EXPECT_TRUE(options.allow_long_context);
  EXPECT_EQ(options.waiting_max, 7U);
  EXPECT_EQ(options.numerics, "fast");
  EXPECT_EQ(options.weights, "auto");
  EXPECT_DOUBLE_EQ(options.tpot_target_ms, 12.5);
  EXPECT_EQ(options.body_bytes_max, 1U << 20U);
  EXPECT_EQ(options.request_timeout, std::chrono::seconds{9});
  EXPECT_EQ(options.drain_timeout, std::chrono::seconds{0});
  EXPECT_EQ(options.log.level, log::Level::kDebug);
  EXPECT_EQ(options.log.format, log::Format::kJson);
  EXPECT_EQ(options.chat_template_path, "t.jinja");
}

TEST(WorkerOptions, SayWhereWeightsLie) {
  const CommandLine line = parse({"--model", "m", "--weights", "mapped"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->weights, "mapped");
}

TEST(WorkerOptions, TurnThePrefixCacheOffAtZero) {
  const CommandLine line = parse({"--model", "m", "--store-memory", "0"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->store_bytes, 0U);
}

TEST(WorkerOptions, AreRefusedInOneLineWithExitCode2) {
  struct Row {
    const char* name;
    std::vector<const char*> arguments;
    const char* named;
  };
  const Row table[] = {
      {"no model", {}, "--model"},
      {"unknown flag", {"--model", "m", "--modle", "x"}, "--modle"},
      {"bad role", {"--model", "m", "--role", "both"}, "--role"},
      {"bad number", {"--model", "m", "--threads", "many"}, "--threads"},
      {"negative", {"--model", "m", "--max-waiting", "0"}, "--max-waiting"},
      {"bad size", {"--model", "m", "--kv-memory", "1XB"}, "--kv-memory"},
      {"bad store", {"--model", "m", "--store-memory", "lots"}, "--store-memory"},
      {"large body", {"--model", "m", "--max-body", "1GiB"}, "--max-body"},
      {"empty name", {"--model", "m", "--served-model-name", ""}, "--served-model-name"},
      {"bad address", {"--model", "m", "--listen", "nope"}, "--listen: address \"nope\""},
      {"negative size", {"--model", "m", "--store-memory", "-1"}, "--store-memory"},
      {"not a number", {"--model", "m", "--tpot-target", "nan"}, "--tpot-target"},
      {"more rows than a batch has", {"--model", "m", "--step-tokens", "4097"}, "--step-tokens"},
      {"bad block listener", {"--model", "m", "--kv-listen", "nope"}, "--kv-listen"},
      {"block listener that nobody finds", {"--model", "m", "--kv-listen", "0.0.0.0:1"}, "--kv-advertise"},
      {"bad peer", {"--model", "m", "--kv-peers", "10.0.0.0/99"}, "--kv-peers"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const CommandLine line = parse(row.arguments);
    EXPECT_FALSE(line.options.has_value());
    EXPECT_EQ(line.ending.exit_code, 2);
    EXPECT_THAT(line.ending.text, HasSubstr(row.named));
    EXPECT_EQ(line.ending.text.find('\n'), line.ending.text.size() - 1) << line.ending.text;
  }
}

TEST(WorkerOptions, PrintHelpWithExitCode0) {
  const CommandLine line = parse({"--help"});
  EXPECT_FALSE(line.options.has_value());
  EXPECT_EQ(line.ending.exit_code, 0);
  EXPECT_THAT(line.ending.text, HasSubstr("--kv-memory"));
}

TEST(WorkerOptions, OfASimulatedEngineNeedNoModel) {
  const CommandLine line = parse({"--engine", "sim", "--sim-endpoints", "3", "--listen", "127.0.0.1:9000"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->engine, EngineKind::kSimulated);
  EXPECT_EQ(line.options->profile, "gpu");
  EXPECT_THAT(line.options->served_names, ElementsAre("gpu"));
  EXPECT_EQ(line.options->sim_endpoints, 3U);
}

TEST(WorkerOptions, OfASimulatedEngineSayRoleAndEvents) {
  const CommandLine line =
      parse({"--engine", "sim", "--role", "prefill", "--kv-listen", "127.0.0.1:0", "--kv-events-config",
             R"({"enable_kv_cache_events":true,"publisher":"zmq","endpoint":"tcp://*:7000","topic":"t"})"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->role, Role::kPrefill);
  EXPECT_TRUE(line.options->kv_events.enabled);
  EXPECT_EQ(line.options->kv_events.endpoint, "tcp://*:7000");
  EXPECT_EQ(line.options->kv_events.topic, "t");
}

TEST(WorkerOptions, RefuseWhatTheOtherEngineTakes) {
  struct Case {
    std::vector<const char*> arguments;
    const char* says;
  };
  const Case cases[] = {
      {{}, "--model is required"},
      {{"--model", "m.gguf", "--profile", "gpu"}, "--profile is not of --engine llama"},
      {{"--engine", "sim", "--model", "m.gguf"}, "--model is not of --engine sim"},
      {{"--engine", "sim", "--kv-memory", "1GiB"}, "--kv-memory is not of --engine sim"},
      {{"--model", "m.gguf", "--kv-events-config", "{}"}, "--kv-events-config is not of --engine llama"},
      {{"--engine", "sim", "--sim-endpoints", "2", "--listen", "unix:/tmp/x"}, "is one place for 2 endpoints"},
      {{"--engine", "sim", "--sim-endpoints", "10", "--listen", "127.0.0.1:65530"}, "ports beyond 65535"},
      {{"--engine", "sim", "--sim-endpoints", "10", "--kv-listen", "127.0.0.1:65530"}, "ports beyond 65535"},
      {{"--engine", "sim", "--sim-endpoints", "2", "--kv-events-config", R"({"endpoint": "ipc:///tmp/x"})"},
       "one place for several endpoints"},
      {{"--engine", "sim", "--sim-endpoints", "3", "--kv-events-config",
        R"({"endpoint": "tcp://*:5557", "replay_endpoint": "tcp://*:5559"})"},
       "the places of 3 endpoints from endpoint tcp://*:5557 and from replay_endpoint tcp://*:5559 overlap"},
      {{"--engine", "sim", "--kv-events-config", R"({"topics": "x"})"}, "did you mean topic?"},
  };
  for (const Case& each : cases) {
    const CommandLine line = parse(each.arguments);
    ASSERT_FALSE(line.options.has_value()) << each.says;
    EXPECT_EQ(line.ending.exit_code, 2) << each.says;
    EXPECT_THAT(line.ending.text, HasSubstr(each.says));
  }
}

}  // namespace
}  // namespace llmd::worker
