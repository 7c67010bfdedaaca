#include "apps/worker/completion_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmd::worker {
namespace {

using testing::HasSubstr;
using testing::Not;

SequenceEvent event_of(std::vector<std::string> texts, std::optional<FinishReason> finish = std::nullopt) {
  SequenceEvent event;
  for (std::string& text : texts) {
    TokenLogprob logprob{.token = 1, .text = text, .logprob = -0.5F};
    event.tokens.push_back({.token = 1, .text = std::move(text), .logprobs = {{.chosen = logprob, .top = {logprob}}}});
  }
  event.finish = finish;
  return event;
}

std::size_t events_in(const std::string& out) {
  std::size_t count = 0;
  for (std::size_t at = out.find("data: "); at != std::string::npos; at = out.find("data: ", at + 1)) ++count;
  return count;
}

TEST(CompletionBuilder, StreamsAtMostOneTokensTextAnEvent) {
  CompletionBuilder builder{{.head = {.id = "c", .model = "m"}}};
  std::string out;
  builder.append_events(0, event_of({"a", "b"}), out);
  EXPECT_EQ(events_in(out), 2U);
  EXPECT_THAT(out, HasSubstr(R"("text":"a")"));
  EXPECT_THAT(out, Not(HasSubstr(R"("text":"ab")")));
}

TEST(CompletionBuilder, SendsNothingForATokenThatHasNoTextYet) {
  CompletionBuilder builder{{.head = {.id = "c", .model = "m"}, .logprobs = true}};
  std::string out;
  SequenceEvent none;
  none.tokens.push_back({.token = 1});
  builder.append_events(0, std::move(none), out);
  EXPECT_EQ(out, "");
  builder.append_events(0, event_of({"é"}), out);
  EXPECT_EQ(events_in(out), 1U);
}

TEST(CompletionBuilder, CountsOffsetsInCharactersOfTheTextHoweverTokensCutThem) {
  CompletionBuilder builder{{.head = {.id = "c", .model = "m"}, .logprobs = true}};
  SequenceEvent event;
  event.tokens.push_back({.token = 1, .text = "n"});
  const auto entry = [](const char* bytes) {
    return TokenLogprobs{.chosen = {.token = 1, .text = bytes, .logprob = -1.0F}, .top = {}};
  };
  event.tokens.push_back(
      {.token = 2, .text = "é\xef\xbf\xbd!", .logprobs = {entry("n\xc3"), entry("\xa9"), entry("\xff"), entry("!")}});
  event.finish = FinishReason::kStop;
  builder.collect(0, std::move(event));
  const std::string json = builder.whole({}, nullptr);
  EXPECT_THAT(json, HasSubstr(R"("text_offset":[0,1,2,3])")) << json;
}

TEST(CompletionBuilder, EchoesThePromptOfEachChoiceFirst) {
  CompletionBuilder::Setup setup{
      .head = {.id = "c", .model = "m"}, .choices_per_prompt = 2, .choices = 4, .logprobs = true};
  setup.echoes = {{.text = "né", .tokens = {"n", "é"}}, {.text = "q", .tokens = {"q"}}};
  CompletionBuilder builder{std::move(setup)};
  for (std::size_t index = 0; index < 4; ++index) {
    SequenceEvent event = event_of({"x"}, FinishReason::kLength);
    event.prompt_logprobs = {std::nullopt, TokenLogprobs{.chosen = {.token = 2, .text = "é", .logprob = -2.0F},
                                                         .top = {{.token = 3, .text = "a", .logprob = -1.0F}}}};
    builder.collect(index, std::move(event));
  }
  const std::string json = builder.whole({.prompt_tokens = 3, .completion_tokens = 4}, nullptr);
  EXPECT_THAT(
      json,
      HasSubstr(
          R"({"index":1,"text":"néx","logprobs":{"tokens":["n","é","x"],"token_logprobs":[null,-2,-0.5],)"
          R"("top_logprobs":[null,{"a":-1,"é":-2},{"x":-0.5}],"text_offset":[0,1,2]},"finish_reason":"length"})"));
  EXPECT_THAT(json, HasSubstr(R"({"index":2,"text":"qx")"));
}

TEST(CompletionBuilder, DropsTheOutputOfAnEchoAlone) {
  CompletionBuilder::Setup setup{
      .head = {.id = "c", .model = "m"}, .drop_output = true, .echoes = {{.text = "p", .tokens = {}}}};
  CompletionBuilder builder{std::move(setup)};
  std::string out;
  builder.append_events(0, event_of({"x"}, FinishReason::kLength), out);
  EXPECT_THAT(out, HasSubstr(R"("text":"p")"));
  EXPECT_THAT(out, Not(HasSubstr(R"("text":"x")")));
  EXPECT_THAT(out, HasSubstr(R"("finish_reason":"length")"));
}

TEST(CompletionBuilder, NamesTheStopStringThatEndedIt) {
  CompletionBuilder builder{{.head = {.id = "c", .model = "m"}}};
  SequenceEvent event = event_of({"a"}, FinishReason::kStop);
  event.stop_string = "END";
  builder.collect(0, std::move(event));
  EXPECT_THAT(builder.whole({}, nullptr), HasSubstr(R"("finish_reason":"stop","stop_reason":"END")"));
}

}  // namespace
}  // namespace llmd::worker
