#include "apps/doctor/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/mebibytes.h"
#include "llamacpp/test_model.h"
#include "net/server.h"
#include "runtime/loop.h"

namespace llmd::doctor {
namespace {

using testing::HasSubstr;

TEST(Doctor, ATakenPortIsBadAndNamed) {
  Loop loop{"test"};
  auto handler = [](net::Request, net::Exchange&) -> Task<void> { co_return; };
  const auto server = net::Server::listen({&loop}, {.listen = *net::Address::parse("127.0.0.1:0")}, handler);
  ASSERT_TRUE(server);
  const std::string taken = (*server)->address().to_string();
  const Finding finding = check_port(taken);
  EXPECT_EQ(finding.verdict, Verdict::kBad);
  EXPECT_NE(finding.text.find(std::to_string((*server)->address().port)), std::string::npos) << finding.text;
  EXPECT_EQ(check_port("127.0.0.1:0").verdict, Verdict::kGood);
  EXPECT_EQ(check_port("nowhere").verdict, Verdict::kBad);
}

TEST(Doctor, AMissingModelSaysWhatWasLookedFor) {
  const Finding finding = check_model("/no/such/model.gguf");
  EXPECT_EQ(finding.verdict, Verdict::kBad);
  EXPECT_NE(finding.text.find("/no/such/model.gguf"), std::string::npos);
}

TEST(Doctor, CountsWeightsKvComputeAndStoreOfEveryWorker) {
  const std::string model = llamacpp::test_model_path();
  const Finding good = check_memory(model, {}, 1, 64'000 * kMiB);
  EXPECT_EQ(good.verdict, Verdict::kGood) << good.text;
  EXPECT_THAT(good.text, HasSubstr("64000 MiB available; a worker takes: weights "));
  EXPECT_THAT(good.text, HasSubstr("block store 1024 MiB"));

  const Finding tight = check_memory(model, {}, 2, 1'500 * kMiB);
  EXPECT_EQ(tight.verdict, Verdict::kWarning) << tight.text;
  EXPECT_THAT(tight.text, HasSubstr("each of 2 workers takes"));

  const Finding bad = check_memory(model, {.store_bytes = 60'000 * kMiB}, 2, 64'000 * kMiB);
  EXPECT_EQ(bad.verdict, Verdict::kBad) << bad.text;
  EXPECT_THAT(bad.text, HasSubstr("2 workers need 12"));
  EXPECT_THAT(bad.text, HasSubstr("lower --store-memory to 29"));

  EXPECT_EQ(check_memory("/no/such/model.gguf", {}, 1, 64'000 * kMiB).verdict, Verdict::kWarning);

  const Finding broken = check_memory("/proc/self/exe", {}, 1, 64'000 * kMiB);
  EXPECT_EQ(broken.verdict, Verdict::kBad);
  EXPECT_THAT(broken.text, HasSubstr("is not a GGUF"));
}

}  // namespace
}  // namespace llmd::doctor
