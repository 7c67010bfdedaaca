#include "apps/worker/service.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::worker {
namespace {

TEST(WorkerService, TakesTokensOfOthersOnUnixSocketsOnly) {
  const std::vector<openai::PromptTokens> sent{{.text_hash = 1, .tokens = {2, 3}}};
  openai::GenerationRequest request;
  request.prompt_tokens = openai::encode_prompt_tokens(sent);
  const struct {
    const char* listen;
    bool trusted;
  } cases[] = {{"unix:/tmp/w.sock", true}, {"127.0.0.1:0", false}, {"0.0.0.0:80", false}, {"[::1]:80", false}};
  for (const auto& item : cases) {
    Loop loop{"test"};
    MetricsRegistry registry;
    Options options;
    options.served_names = {"m"};
    options.listen = item.listen;
    const auto offload = Service::make_offload();
    const Service service{loop, options, registry, *offload};
    EXPECT_EQ(service.known_prompts(request), item.trusted ? sent : std::vector<openai::PromptTokens>{}) << item.listen;
  }
}

}  // namespace
}  // namespace llmd::worker
