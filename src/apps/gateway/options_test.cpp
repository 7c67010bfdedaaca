#include "apps/gateway/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmd::gateway {
namespace {

using testing::HasSubstr;

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "gateway");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(GatewayOptions, ReadEveryFlag) {
  const CommandLine line = parse({"--endpoints",       "http://a:1,http://b:2",
                                  "--listen",          "127.0.0.1:9",
                                  "--config",          "c.yaml",
                                  "--admin",           "none",
                                  "--loops",           "3",
                                  "--max-body",        "1MiB",
                                  "--max-in-flight",   "7",
                                  "--max-attempts",    "2",
                                  "--request-timeout", "9",
                                  "--drain-timeout",   "0",
                                  "--header-timeout",  "1",
                                  "--body-timeout",    "2",
                                  "--write-timeout",   "3",
                                  "--probe-interval",  "50",
                                  "--log-level",       "error",
                                  "--log-format",      "text"});
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  const Options& options = *line.options;
  EXPECT_EQ(options.endpoints, "http://a:1,http://b:2");
  EXPECT_EQ(options.listen, "127.0.0.1:9");
  EXPECT_EQ(options.config_path, "c.yaml");
  EXPECT_EQ(options.admin, "none");
  EXPECT_EQ(options.loops, 3U);
  EXPECT_EQ(options.body_bytes_max, 1U << 20U);
  EXPECT_EQ(options.in_flight_max, 7U);
  EXPECT_EQ(options.attempts_max, 2U);
  EXPECT_EQ(options.request_timeout, std::chrono::seconds{9});
  EXPECT_EQ(options.drain_timeout, std::chrono::seconds{0});
  EXPECT_EQ(options.header_timeout, std::chrono::seconds{1});
  EXPECT_EQ(options.body_timeout, std::chrono::seconds{2});
  EXPECT_EQ(options.write_timeout, std::chrono::seconds{3});
  EXPECT_EQ(options.probe_interval, std::chrono::milliseconds{50});
  EXPECT_EQ(options.log.level, log::Level::kError);
  EXPECT_EQ(options.log.format, log::Format::kText);
}

TEST(GatewayOptions, SwitchOutlierDetection) {
  const CommandLine silent = parse({"--endpoints", "http://a:1"});
  ASSERT_TRUE(silent.options.has_value());
  EXPECT_EQ(silent.options->outlier_detection, "on");
  const CommandLine off = parse({"--endpoints", "http://a:1", "--outlier-detection", "off"});
  ASSERT_TRUE(off.options.has_value());
  EXPECT_EQ(off.options->outlier_detection, "off");
}

TEST(GatewayOptions, AreRefusedInOneLineWithExitCode2) {
  struct Row {
    std::vector<const char*> arguments;
    const char* named;
  };
  const Row table[] = {
      {{}, "--endpoints or --routes is required"},
      {{"--endpoints", "no-such-file.yaml"}, "--endpoints: address \"no-such-file.yaml\""},
      {{"--endpoints", "no-such-file.yaml"}, "there is no such file"},
      {{"--endpoints", "https://api.example.com:0"}, "has no port"},
      {{"--endpoints", "http://a:1", "--routes", "r.yaml"}, "--routes"},
      {{"--endpoints", ","}, "no endpoint given"},
      {{"--endpoints", "http://a:1", "--admin", "/run/x"}, "--admin is \"/run/x\""},
      {{"--endpoints", "http://a:1", "--probe-interval", "1"}, "--probe-interval"},
      {{"--endpoints", "http://a:1", "--loops", "-1"}, "--loops"},
      {{"--endpoints", "http://a:1", "--log-level", "loud"}, "--log-level"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.named);
    const CommandLine line = parse(row.arguments);
    EXPECT_FALSE(line.options.has_value());
    EXPECT_EQ(line.ending.exit_code, 2);
    EXPECT_THAT(line.ending.text, HasSubstr(row.named));
    EXPECT_EQ(line.ending.text.find('\n'), line.ending.text.size() - 1) << line.ending.text;
  }
}

TEST(GatewayOptions, PrintHelpWithExitCode0) {
  const CommandLine line = parse({"--help"});
  EXPECT_FALSE(line.options.has_value());
  EXPECT_EQ(line.ending.exit_code, 0);
  EXPECT_THAT(line.ending.text, HasSubstr("--probe-interval"));
  EXPECT_THAT(line.ending.text, HasSubstr("LLMD_API_KEY"));
}

}  // namespace
}  // namespace llmd::gateway
