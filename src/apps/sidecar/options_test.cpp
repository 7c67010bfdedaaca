#include "apps/sidecar/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace llmd::sidecar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sidecar");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(SidecarOptions, HaveTheDefaultsOfLlmD) {
  const CommandLine line = parse({});
  ASSERT_TRUE(line.options) << line.ending.text;
  const Options& options = *line.options;
  EXPECT_EQ(options.port, 8000);
  EXPECT_EQ(options.model_server_port, 8200);
  EXPECT_EQ(options.data_parallel_size, 1);
  EXPECT_EQ(options.connector, pd::Connector::kNixl);
  EXPECT_EQ(options.encoder_connector, EncoderConnector::kNone);
  EXPECT_EQ(options.mooncake_bootstrap_port, 8998);
  EXPECT_EQ(options.p2p_port, 7777);
  EXPECT_TRUE(options.secure_proxy);
  EXPECT_FALSE(options.protects());
  EXPECT_FALSE(options.prefiller_sampling);
  EXPECT_EQ(options.idle_connections_max, 1'024U);
  EXPECT_EQ(options.prefill_retries_max, 0U);
  EXPECT_EQ(options.prefill_backoff, std::chrono::milliseconds{200});
  EXPECT_EQ(options.decode_chunk_size, 0U);
  EXPECT_EQ(options.metrics_port, 0);
}

TEST(SidecarOptions, ProtectWhatIsNamedUnlessToldNot) {
  EXPECT_TRUE(parse({"--inference-pool=ns/p"}).options->protects());
  EXPECT_TRUE(parse({"--allowed-hosts=a,b"}).options->protects());
  EXPECT_FALSE(parse({"--inference-pool=p", "--enable-ssrf-protection=false"}).options->protects());
}

TEST(SidecarOptions, ReadTheOldPortUnlessTheNewOneIsGiven) {
  EXPECT_EQ(parse({"--vllm-port=1"}).options->model_server_port, 1);
  EXPECT_EQ(parse({"--vllm-port=1", "--model-server-port=2"}).options->model_server_port, 2);
  EXPECT_EQ(parse({"--vllm-port=1", "--configuration={model-server-port: 3}"}).options->model_server_port, 1);
  EXPECT_EQ(parse({"--configuration={vllm-port: 1, model-server-port: 3}"}).options->model_server_port, 3);
}

TEST(SidecarOptions, PutFlagsBeforeTheConfigurationBeforeTheEnvironment) {
  ::setenv("P2P_CONNECTOR_PORT", "1", 1);
  ::setenv("MOONCAKE_BOOTSTRAP_PORT", "2", 1);
  ::setenv("ENABLE_PREFILLER_SAMPLING", "true", 1);
  ::setenv("SGLANG_BOOTSTRAP_PORT", "nonsense", 1);
  const CommandLine line = parse({"--configuration",
                                  "{p2p-connector-port: 3, kv-connector: sglang, enable-tls: [prefiller, encoder], "
                                  "secure-proxy: false, enable-prefiller-sampling: false, prefill-retry-backoff: 1s}",
                                  "--kv-connector=mooncake", "--tls-insecure-skip-verify", "encoder"});
  for (const char* name :
       {"P2P_CONNECTOR_PORT", "MOONCAKE_BOOTSTRAP_PORT", "ENABLE_PREFILLER_SAMPLING", "SGLANG_BOOTSTRAP_PORT"})
    ::unsetenv(name);
  ASSERT_TRUE(line.options) << line.ending.text;
  const Options& options = *line.options;
  EXPECT_EQ(options.p2p_port, 3);
  EXPECT_EQ(options.mooncake_bootstrap_port, 2);
  EXPECT_EQ(options.sglang_bootstrap_port, 8998);
  EXPECT_EQ(options.connector, pd::Connector::kMooncake);
  EXPECT_FALSE(options.prefiller_sampling);
  EXPECT_FALSE(options.secure_proxy);
  EXPECT_TRUE(options.prefiller_tls.enabled);
  EXPECT_FALSE(options.prefiller_tls.insecure);
  EXPECT_TRUE(options.encoder_tls.enabled);
  EXPECT_TRUE(options.encoder_tls.insecure);
  EXPECT_FALSE(options.decoder_tls.enabled);
  EXPECT_EQ(options.prefill_backoff, std::chrono::seconds{1});
}

TEST(SidecarOptions, TakeMoriiosHosts) {
  const CommandLine line =
      parse({"--moriio-write-mode", "--moriio-local-pod-ip=d", "--moriio-dp-size=16", "--moriio-dp-size-local=8",
             "--moriio-remote-hosts=a,b", "--moriio-decode-hosts", "c,d"});
  ASSERT_TRUE(line.options) << line.ending.text;
  EXPECT_THAT(line.options->moriio.engines.prefill_hosts, ElementsAre("a", "b"));
  EXPECT_THAT(line.options->moriio.engines.decode_hosts, ElementsAre("c", "d"));
}

TEST(SidecarOptions, RefuseWhatCannotBe) {
  const struct {
    std::vector<const char*> arguments;
    const char* told;
  } cases[] = {
      {{"--port=65535", "--data-parallel-size=2"}, "--port 65535 leaves no ports"},
      {{"--port=0", "--data-parallel-size=2"}, "--port 0"},
      {{"--model-server-port=65000", "--data-parallel-size=1000"}, "--model-server-port"},
      {{"--p2p-connector-port=65535", "--data-parallel-size=2"}, "--p2p-connector-port"},
      {{"--enable-p2p-pull", "--kv-connector=offloading"}, "--enable-p2p-pull needs"},
      {{"--enable-ssrf-protection"}, "--enable-ssrf-protection needs"},
      {{"--inference-pool=a/b/c"}, "--inference-pool is"},
      {{"--inference-pool=/b"}, "--inference-pool is"},
      {{"--prefill-max-retries=1", "--prefill-retry-backoff=0s"}, "--prefill-retry-backoff must"},
      {{"--moriio-write-mode"}, "--moriio-write-mode needs"},
      {{"--moriio-parallel-dispatch"}, "--moriio-parallel-dispatch needs"},
      {{"--moriio-remote-hosts=a,b"}, "--moriio-remote-hosts needs --moriio-dp-size-local"},
      {{"--moriio-decode-hosts=a,b", "--moriio-dp-size=16", "--moriio-dp-size-local=4"},
       "--moriio-decode-hosts names 2"},
      {{"--configuration={connector: nixlv2}"}, "there is no flag \"connector\""},
      {{"--configuration=[1]"}, "expected a map"},
      {{"--configuration={port: {a: 1}}"}, "port is neither"},
      {{"--configuration={port: x}"}, "--port"},
      {{"--configuration={configuration-file: x}"}, "cannot name another"},
      {{"--configuration={}", "--configuration-file=x"}, "--configuration"},
      {{"--configuration-file=/not/there"}, "/not/there"},
      {{"--kv-connector=nixl"}, "--kv-connector"},
      {{"--enable-tls=invalid"}, "--enable-tls"},
      {{"--zap-log-level=loud"}, "--zap-log-level"},
  };
  for (const auto& item : cases) {
    const CommandLine line = parse(item.arguments);
    ASSERT_FALSE(line.options) << item.told;
    EXPECT_EQ(line.ending.exit_code, 2) << item.told;
    EXPECT_THAT(line.ending.text, HasSubstr(item.told));
  }
}

}  // namespace
}  // namespace llmd::sidecar
