#include "apps/epp/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmd::epp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "epp");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(EppOptions, HaveTheDefaultsOfLlmD) {
  const CommandLine line = parse({});
  ASSERT_TRUE(line.options) << line.ending.text;
  const Options& options = *line.options;
  EXPECT_EQ(options.grpc_port, 9002);
  EXPECT_EQ(options.health_port, 9003);
  EXPECT_EQ(options.metrics_port, 9090);
  EXPECT_EQ(options.drain_timeout, std::chrono::seconds{30});
  EXPECT_EQ(options.message_bytes_max, 4U << 20U);
  EXPECT_EQ(options.pool_group, "inference.networking.k8s.io");
  EXPECT_EQ(options.scrape_interval, std::chrono::milliseconds{50});
  EXPECT_TRUE(options.secure_serving);
  EXPECT_TRUE(options.metrics_auth);
  EXPECT_TRUE(options.pprof);
  EXPECT_FALSE(options.cert_reload);
  EXPECT_EQ(options.log.level, log::Level::kInfo);
}

TEST(EppOptions, AreReadAsGoWritesThem) {
  const CommandLine line = parse({"--grpc-port=1",
                                  "--grpc-health-port",
                                  "2",
                                  "--metrics-port=3",
                                  "--secure-serving=false",
                                  "--health-checking",
                                  "--drain-timeout=1m30s",
                                  "--refresh-metrics-interval",
                                  "10ms",
                                  "--grpc-max-recv-msg-size=16Mi",
                                  "--grpc-max-send-msg-size=",
                                  "--pool-name=p",
                                  "--pool-namespace=n",
                                  "--emit-endpoint-scores=true",
                                  "--endpoint-target-ports=8000,8001",
                                  "--zap-encoder=json",
                                  "-v=5",
                                  "--zap-devel=false",
                                  "--tracing=false",
                                  "--enable-pprof=false",
                                  "--metrics-endpoint-auth=false"});
  ASSERT_TRUE(line.options) << line.ending.text;
  const Options& options = *line.options;
  EXPECT_EQ(options.grpc_port, 1);
  EXPECT_EQ(options.health_port, 2);
  EXPECT_EQ(options.metrics_port, 3);
  EXPECT_FALSE(options.secure_serving);
  EXPECT_TRUE(options.health_on_grpc_port);
  EXPECT_EQ(options.drain_timeout, std::chrono::seconds{90});
  EXPECT_EQ(options.scrape_interval, std::chrono::milliseconds{50}) << "llm-d's least";
  EXPECT_EQ(options.message_bytes_max, 16U << 20U);
  EXPECT_TRUE(options.emit_scores);
  EXPECT_THAT(options.endpoint_target_ports, ElementsAre(8000, 8001));
  EXPECT_EQ(options.log.level, log::Level::kDebug);
  EXPECT_EQ(options.log.format, log::Format::kJson);
  EXPECT_FALSE(options.pprof);
  EXPECT_FALSE(options.metrics_auth);
}

TEST(EppOptions, VerbosityHasManyNames) {
  const auto level = [](std::vector<const char*> arguments) {
    const CommandLine line = parse(std::move(arguments));
    return line.options ? line.options->log.level : log::Level::kError;
  };
  EXPECT_EQ(level({"-v", "4"}), log::Level::kDebug);
  EXPECT_EQ(level({"--v=3"}), log::Level::kInfo);
  EXPECT_EQ(level({"-v=5", "--zap-log-level=warn"}), log::Level::kWarn);
  EXPECT_EQ(level({"--zap-log-level=5"}), log::Level::kDebug);
}

TEST(EppOptions, WrongOnesAreNamed) {
  const auto told = [](std::vector<const char*> arguments) {
    const CommandLine line = parse(std::move(arguments));
    EXPECT_FALSE(line.options);
    return line.ending.text;
  };
  EXPECT_THAT(told({"--drain-timeout=30"}), HasSubstr("--drain-timeout"));
  EXPECT_THAT(told({"--grpc-max-recv-msg-size=four"}), HasSubstr("--grpc-max-recv-msg-size"));
  EXPECT_THAT(told({"--grpc-port=70000"}), HasSubstr("--grpc-port"));
  EXPECT_THAT(told({"--zap-log-level=loud"}), HasSubstr("--zap-log-level"));
  EXPECT_THAT(told({"--tls-min-version=VersionTLS9"}), HasSubstr("--tls-min-version"));
  EXPECT_THAT(told({"--config-file=a", "--config-text=b"}), HasSubstr("--config-"));
  EXPECT_THAT(told({"--endpoint-selector=app=x"}), HasSubstr("--endpoint-target-ports"));
  EXPECT_THAT(told({"--pool-name=p", "--endpoint-selector=app=x", "--endpoint-target-ports=1"}),
              HasSubstr("--endpoint-selector"));
}

}  // namespace
}  // namespace llmd::epp
