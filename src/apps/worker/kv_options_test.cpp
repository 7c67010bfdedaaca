#include "apps/worker/kv_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/worker/kv_transfer.h"
#include "apps/worker/options.h"

namespace llmd::worker {
namespace {

using testing::EndsWith;
using testing::StartsWith;

Options options(Role role, std::string listen) {
  Options options;
  options.role = role;
  options.listen = std::move(listen);
  return options;
}

bool allows(const KvSetup& setup, const std::string& peer) {
  return setup.peers.check(*net::Address::parse(peer)).has_value();
}

TEST(KvOptions, AreReadFromFlags) {
  const char* const arguments[] = {"worker",     "--model",        "m.gguf",     "--kv-listen",       "127.0.0.1:0",
                                   "--kv-peers", "a:1,b",          "--kv-peers", "10.0.0.0/8",        "--kv-lease",
                                   "7",          "--kv-advertise", "me",         "--kv-pull-timeout", "250"};
  const CommandLine line = parse_command_line(std::size(arguments), arguments);
  ASSERT_TRUE(line.options.has_value()) << line.ending.text;
  EXPECT_EQ(line.options->kv.listen, "127.0.0.1:0");
  EXPECT_THAT(line.options->kv.peers, testing::ElementsAre("a:1", "b", "10.0.0.0/8"));
  EXPECT_EQ(line.options->kv.lease, std::chrono::seconds{7});
  EXPECT_EQ(line.options->kv.advertise, "me");
  EXPECT_EQ(line.options->kv.pull_timeout, std::chrono::milliseconds{250});
}

TEST(KvSetup, ListensForPrefillWorkersUnlessToldOtherwise) {
  const auto beside = make_kv_setup(options(Role::kPrefill, "unix:/run/x/worker-0.sock"));
  ASSERT_TRUE(beside.has_value());
  EXPECT_EQ(beside->listen.value().to_string(), "unix:/run/x/worker-0.sock.kv");
  EXPECT_FALSE(make_kv_setup(options(Role::kDecode, "unix:/run/x/w"))->listen.has_value());
  EXPECT_FALSE(make_kv_setup(options(Role::kUnified, "127.0.0.1:0"))->listen.has_value());
  Options off = options(Role::kPrefill, "127.0.0.1:0");
  off.kv.listen = "none";
  EXPECT_FALSE(make_kv_setup(off)->listen.has_value());
  Options given = options(Role::kUnified, "127.0.0.1:0");
  given.kv.listen = "127.0.0.1:5600";
  const auto setup = make_kv_setup(given);
  EXPECT_EQ(setup->listen.value().to_string(), "127.0.0.1:5600");
  EXPECT_EQ(setup->advertised_host, "127.0.0.1");
}

TEST(KvSetup, GivesEachOfSeveralEndpointsAPlaceOfItsOwn) {
  Options given = options(Role::kPrefill, "127.0.0.1:0");
  given.kv.listen = "127.0.0.1:5600";
  given.kv.lease = std::chrono::seconds{7};
  const auto tcp = make_kv_setup(given);
  ASSERT_TRUE(tcp.has_value());
  EXPECT_EQ(tcp->of_endpoint(0).listen.value().to_string(), "127.0.0.1:5600");
  EXPECT_EQ(tcp->of_endpoint(3).listen.value().to_string(), "127.0.0.1:5603");
  EXPECT_EQ(tcp->of_endpoint(3).lease, std::chrono::seconds{7});
  EXPECT_EQ(tcp->of_endpoint(3).advertised_host, "127.0.0.1");
  given.kv.listen = "127.0.0.1:0";
  EXPECT_EQ(make_kv_setup(given)->of_endpoint(3).listen.value().port, 0);
  given.kv.listen = "unix:/run/x/kv.sock";
  EXPECT_EQ(make_kv_setup(given)->of_endpoint(0).listen.value().to_string(), "unix:/run/x/kv.sock");
  EXPECT_EQ(make_kv_setup(given)->of_endpoint(2).listen.value().to_string(), "unix:/run/x/kv.sock-2");
  given.kv.listen = "none";
  EXPECT_FALSE(make_kv_setup(given)->of_endpoint(2).listen.has_value());
}

TEST(KvSetup, MakesAFolderForTheSocketOfAWorkerOnTcp) {
  const auto setup = make_kv_setup(options(Role::kPrefill, "127.0.0.1:0"));
  ASSERT_TRUE(setup.has_value()) << setup.error().to_string();
  ASSERT_NE(setup->directory, nullptr);
  EXPECT_THAT(setup->listen.value().unix_path, StartsWith(runtime_base_path()));
  EXPECT_THAT(setup->listen.value().unix_path, EndsWith("/kv.sock"));
}

TEST(KvSetup, AllowsThisMachineOnlyIfNoPeersAreNamed) {
  const auto setup = make_kv_setup(options(Role::kDecode, "unix:/srv/llmd/decode.sock"));
  ASSERT_TRUE(setup.has_value());
  EXPECT_TRUE(allows(*setup, "127.0.0.1:9"));
  EXPECT_TRUE(allows(*setup, "[::1]:9"));
  EXPECT_TRUE(allows(*setup, "localhost:9"));
  EXPECT_TRUE(allows(*setup, "unix:/srv/llmd/prefill.sock.kv"));
  EXPECT_TRUE(allows(*setup, "unix:" + runtime_base_path() + "/worker-1/kv.sock"));
  EXPECT_FALSE(allows(*setup, "10.0.0.1:9"));
  EXPECT_FALSE(allows(*setup, "unix:/tmp/kv.sock"));
  Options named = options(Role::kDecode, "unix:/srv/llmd/decode.sock");
  named.kv.peers = {"10.0.0.0/8"};
  EXPECT_TRUE(allows(*make_kv_setup(named), "10.0.0.1:9"));
  EXPECT_FALSE(allows(*make_kv_setup(named), "127.0.0.1:9")) << "named peers replace the default";
}

TEST(KvSetup, TellsDecodeWorkersTheAdvertisedHost) {
  Options wildcard = options(Role::kPrefill, "127.0.0.1:0");
  wildcard.kv.listen = "0.0.0.0:5600";
  wildcard.kv.advertise = "10.0.0.7";
  EXPECT_EQ(make_kv_setup(wildcard)->advertised_host, "10.0.0.7");
}

TEST(PrefillLeg, MakesOneTokenOfOneChoiceAndIsNotStreamed) {
  openai::GenerationRequest request;
  request.choices = 4;
  request.max_tokens = 300;
  request.sampling.min_tokens = 9;
  request.kv_transfer = openai::KvTransferParams{.do_remote_decode = true};
  ASSERT_TRUE(prepare_prefill_leg(request).has_value());
  EXPECT_EQ(request.choices, 1U);
  EXPECT_EQ(request.max_tokens, 1U);
  EXPECT_EQ(request.sampling.min_tokens, 1U);
  request.stream = true;
  EXPECT_EQ(prepare_prefill_leg(request).error().code, ErrorCode::kInvalidRequest);
  request.kv_transfer->do_remote_decode = false;
  request.max_tokens = 300;
  EXPECT_TRUE(prepare_prefill_leg(request).has_value());
  EXPECT_EQ(request.max_tokens, 300U) << "other requests stay as they are";
}

}  // namespace
}  // namespace llmd::worker
