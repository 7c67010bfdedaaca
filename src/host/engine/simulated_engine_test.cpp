#include "engine/simulated_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmd {
namespace {

constexpr std::uint32_t kBlock = 16;

/// Steps of 1 ms and 1 ms for each prompt token, whatever else.
simulation::HardwareProfile plain_profile() {
  simulation::HardwareProfile profile;
  profile.step_s = 0.001;
  profile.prefill_token_s = 0;
  profile.prefill_token_per_kilotoken_s = 0;
  profile.decode_sequence_s = 0;
  profile.decode_sequence_per_kilotoken_s = 0;
  profile.restore_token_s = 0;
  profile.submit_s = 0.001;
  profile.stream_s = 0;
  profile.batching.classes = {{.slots = 2, .tokens_max = 256}};
  profile.batching.block_tokens = kBlock;
  profile.batching.waiting_max = 3;
  return profile;
}

std::shared_ptr<const engine::AnswerWords> words() {
  return std::make_shared<const engine::AnswerWords>(
      std::vector<engine::AnswerWords::Word>{{1, " one"}, {2, " two"}, {3, " six"}, {4, " ten"}});
}

/// What came of one sequence. Ends the loop when the last of those awaited has finished.
class Recorder final : public SequenceSink {
 public:
  Recorder(Loop& loop, std::size_t awaited) : loop_{loop}, awaited_{awaited} {}

  void on_events(std::vector<SequenceEvent>&& events) override {
    for (SequenceEvent& event : events) {
      for (const TokenOutput& token : event.tokens) text += token.text;
      if (!event.finish) continue;
      ends.push_back(std::move(event));
      if (ends.size() == awaited_) loop_.stop();
    }
  }

  std::string text;
  std::vector<SequenceEvent> ends;

 private:
  Loop& loop_;
  const std::size_t awaited_;
};

class SimulatedEngineTest : public testing::Test {
 protected:
  std::shared_ptr<Recorder> run(SequenceRequest request) {
    const auto sink = std::make_shared<Recorder>(loop_, 1);
    const auto submitted = engine_.submit(std::move(request), sink);
    EXPECT_TRUE(submitted) << submitted.error().to_string();
    loop_.run();
    EXPECT_EQ(sink->ends.size(), 1U);
    return sink;
  }

  static std::vector<TokenId> prompt(TokenId first, std::size_t tokens = 40) {
    std::vector<TokenId> all(tokens);
    for (std::size_t i = 0; i < tokens; ++i) all[i] = first + static_cast<TokenId>(i);
    return all;
  }

  Loop loop_{"test"};
  SimulatedEngine engine_{loop_, {.model_name = "m", .profile = plain_profile(), .output_tokens = 5, .words = words()}};
};

TEST_F(SimulatedEngineTest, AnswersAsLongAsAskedAndInTheTimeOfTheProfile) {
  const auto answer = run({.prompt = prompt(1), .max_tokens = 10});
  const SequenceEvent& end = answer->ends.front();
  EXPECT_EQ(answer->text.size(), 40U);
  EXPECT_EQ(end.finish, FinishReason::kLength);
  EXPECT_EQ(end.usage.prompt_tokens, 40U);
  EXPECT_EQ(end.usage.completion_tokens, 10U);
  EXPECT_GE(*end.times.scheduled - end.times.queued, milliseconds{1}) << "what the host takes";
  EXPECT_GE(*end.times.first_token - *end.times.scheduled, milliseconds{1});
  EXPECT_GE(*end.times.last_token - *end.times.first_token, milliseconds{9});
}

TEST_F(SimulatedEngineTest, GivesTheSameAnswerToTheSameRequestOnly) {
  const std::string once = run({.prompt = prompt(1), .max_tokens = 20})->text;
  EXPECT_EQ(run({.prompt = prompt(1), .max_tokens = 20})->text, once);
  EXPECT_NE(run({.prompt = prompt(2), .max_tokens = 20})->text, once);
  EXPECT_NE(run({.prompt = prompt(1), .max_tokens = 20, .sampling = {.seed = 7}})->text, once);
}

TEST_F(SimulatedEngineTest, EndsByItselfWithoutALimitUnlessToldNotTo) {
  const auto answer = run({.prompt = prompt(1)});
  EXPECT_EQ(answer->ends.front().usage.completion_tokens, 5U);
  EXPECT_EQ(answer->ends.front().finish, FinishReason::kStop);
  EXPECT_EQ(run({.prompt = prompt(1), .sampling = {.min_tokens = 9}})->ends.front().usage.completion_tokens, 9U);
  const auto whole = run({.prompt = prompt(1, 200), .sampling = {.ignore_eos = true}});
  EXPECT_EQ(whole->ends.front().usage.completion_tokens, 56U);
  EXPECT_EQ(whole->ends.front().finish, FinishReason::kLength);
}

TEST_F(SimulatedEngineTest, EndsBeforeAStopString) {
  const auto answer = run({.prompt = prompt(1), .max_tokens = 200, .stop = {"n t", "x s"}});
  EXPECT_EQ(answer->ends.front().finish, FinishReason::kStop);
  ASSERT_TRUE(answer->ends.front().stop_string);
  EXPECT_EQ(answer->text.find(*answer->ends.front().stop_string), std::string::npos);
  EXPECT_LT(answer->ends.front().usage.completion_tokens, 200U);
  EXPECT_EQ(engine_.load().running, 0U);
}

TEST_F(SimulatedEngineTest, FindsWhatItComputedBeforeAnswersToo) {
  const auto first = run({.prompt = prompt(1, 32), .max_tokens = 33});
  EXPECT_EQ(first->ends.front().usage.cached_tokens, 0U);
  std::vector<TokenId> later = prompt(1, 32);
  const std::string& text = first->text;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const std::string word = text.substr(at, 4);
    later.push_back(word == " one" ? 1 : word == " two" ? 2 : word == " six" ? 3 : 4);
  }
  later.push_back(9);
  EXPECT_EQ(run({.prompt = later, .max_tokens = 1})->ends.front().usage.cached_tokens, 64U);
  EXPECT_EQ(run({.prompt = later, .max_tokens = 1, .cache_salt = "other"})->ends.front().usage.cached_tokens, 0U);
  EXPECT_GT(engine_.load().prefix_hits_tokens, 0U);
}

TEST_F(SimulatedEngineTest, CancelsAtTheEndOfAStepAndBeforeTheFirst) {
  const auto sink = std::make_shared<Recorder>(loop_, 2);
  const auto running = engine_.submit({.prompt = prompt(1), .max_tokens = 200}, sink);
  ASSERT_TRUE(running);
  const auto early = engine_.submit({.prompt = prompt(2), .max_tokens = 200}, sink);
  ASSERT_TRUE(early);
  engine_.cancel(*early);
  ASSERT_EQ(sink->ends.size(), 1U);
  EXPECT_EQ(sink->ends.front().sequence, *early);
  Timer timer{loop_.context()};
  timer.expires_after(milliseconds{10});
  timer.async_wait([&](const boost::system::error_code&) { engine_.cancel(*running); });
  loop_.run();
  EXPECT_EQ(sink->ends.back().finish, FinishReason::kCancelled);
  EXPECT_LT(sink->ends.back().usage.completion_tokens, 200U);
  EXPECT_EQ(engine_.load().running, 0U);
}

TEST_F(SimulatedEngineTest, IsSlowedDownWhileItRuns) {
  engine_.set_slowness(5);
  const auto answer = run({.prompt = prompt(1), .max_tokens = 5});
  EXPECT_GE(*answer->ends.front().times.last_token - *answer->ends.front().times.first_token, milliseconds{20});
}

TEST_F(SimulatedEngineTest, RefusesWhatItCannotDo) {
  struct Case {
    const char* name;
    SequenceRequest request;
    ErrorCode code;
  };
  const Case cases[] = {
      {"nothing", {.prompt = {}, .max_tokens = 1}, ErrorCode::kInvalidRequest},
      {"too long", {.prompt = prompt(1, 250), .max_tokens = 10}, ErrorCode::kContextLengthExceeded},
      {"logprobs", {.prompt = prompt(1), .sampling = {.top_logprobs = 0}}, ErrorCode::kUnsupported},
      {"grammar", {.prompt = prompt(1), .sampling = {.grammar = {.gbnf = "root ::= \"a\""}}}, ErrorCode::kUnsupported},
      {"embedding", {.prompt = prompt(1), .embed = true}, ErrorCode::kUnsupported},
  };
  const auto sink = std::make_shared<Recorder>(loop_, 1);
  for (const Case& each : cases) {
    const auto refused = engine_.submit(each.request, sink);
    ASSERT_FALSE(refused) << each.name;
    EXPECT_EQ(refused.error().code, each.code) << each.name;
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(engine_.submit({.prompt = prompt(1), .max_tokens = 1}, sink));
  const auto full = engine_.submit({.prompt = prompt(1), .max_tokens = 1}, sink);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kOverloaded);
}

TEST_F(SimulatedEngineTest, EndsAllSequencesAtAShutdown) {
  const auto sink = std::make_shared<Recorder>(loop_, 2);
  ASSERT_TRUE(engine_.submit({.prompt = prompt(1), .max_tokens = 200}, sink));
  ASSERT_TRUE(engine_.submit({.prompt = prompt(2), .max_tokens = 200}, sink));
  Timer timer{loop_.context()};
  timer.expires_after(milliseconds{5});
  timer.async_wait([&](const boost::system::error_code&) { engine_.shut_down(milliseconds{0}); });
  loop_.run();
  EXPECT_EQ(sink->ends.size(), 2U);
  EXPECT_FALSE(engine_.submit({.prompt = prompt(1), .max_tokens = 1}, sink));
}

}  // namespace
}  // namespace llmd
