#include "engine/simulated_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "model/prefix_key.h"

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

/// A copy of an engine's prefix cache, made from its events alone.
class Replica final : public KvEventSink {
 public:
  void on_kv_events(std::vector<KvEvent>&& events) noexcept override {
    for (const KvEvent& event : events) std::visit([this](const auto& each) { apply(each); }, event);
  }
  [[nodiscard]] std::size_t held(const std::vector<std::uint64_t>& chain) const {
    std::size_t blocks = 0;
    while (blocks < chain.size() && parents.contains(chain[blocks])) ++blocks;
    return blocks;
  }

  std::unordered_map<std::uint64_t, std::optional<std::uint64_t>> parents;
  std::size_t removed = 0;
  BlocksStored last;

 private:
  void apply(const BlocksStored& event) {
    std::optional<std::uint64_t> parent = event.parent;
    EXPECT_TRUE(!parent || parents.contains(*parent));
    EXPECT_EQ(event.tokens.size(), event.blocks.size() * kBlock);
    for (const std::uint64_t block : event.blocks) {
      EXPECT_TRUE(parents.emplace(block, parent).second) << "stored twice";
      parent = block;
    }
    last = event;
  }
  void apply(const BlockRemoved& event) {
    EXPECT_EQ(parents.erase(event.block), 1U) << "removed without being held";
    ++removed;
  }
  void apply(const BlocksCleared& /*event*/) { parents.clear(); }
};

class SimulatedEngineBlocks : public testing::Test {
 protected:
  SimulatedEngineBlocks()
      : engine_{loop_, {.model_name = "m", .profile = profile(), .words = words(), .kv_events = replica_}} {}
  static simulation::HardwareProfile profile() {
    simulation::HardwareProfile profile = plain_profile();
    profile.store_tokens = 20 * std::uint64_t{kBlock};
    return profile;
  }
  SequenceUsage run(SequenceRequest request) {
    const auto sink = std::make_shared<Recorder>(loop_, 1);
    EXPECT_TRUE(engine_.submit(std::move(request), sink));
    loop_.run();
    return sink->ends.front().usage;
  }
  /// Prompts of which some begin alike.
  static std::vector<TokenId> prompt(std::uint64_t number) {
    std::vector<TokenId> tokens(40 + number % 5 * 16);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i < 24 ? number % 3 : number % 11);
    return tokens;
  }

  Loop loop_{"test"};
  const std::shared_ptr<Replica> replica_ = std::make_shared<Replica>();
  SimulatedEngine engine_;
};

TEST_F(SimulatedEngineBlocks, AreToldSoThatACopyOfTheCacheForetellsEveryHit) {
  for (std::uint64_t step = 0; step < 60; ++step) {
    const std::vector<TokenId> tokens = prompt(step * step);
    const std::string salt = step % 4 == 0 ? "salt" : "";
    const BlockScope scope{engine_.info().model_fingerprint, {}, salt};
    const auto chain = make_block_key(scope, tokens, kBlock, 100).hashes;
    const std::size_t held = replica_->held(chain);
    EXPECT_EQ(engine_.held_blocks(engine_.block_ids(tokens, salt)), held);
    const SequenceUsage usage =
        run({.prompt = tokens, .max_tokens = 1 + static_cast<std::uint32_t>(step % 40), .cache_salt = salt});
    EXPECT_EQ(usage.cached_tokens, std::min(held, (tokens.size() - 1) / kBlock) * kBlock) << step;
    EXPECT_EQ(replica_->parents.size(), engine_.load().store_blocks);
  }
  EXPECT_GT(replica_->removed, 20U);
  EXPECT_EQ(replica_->removed, engine_.load().store_evictions);
}

TEST_F(SimulatedEngineBlocks, ThatCameFromElsewhereAreCachedAndTold) {
  const std::vector<TokenId> tokens = prompt(4);
  engine_.receive_blocks(tokens, "", 0);
  EXPECT_TRUE(replica_->parents.empty());
  engine_.receive_blocks(tokens, "", 2);
  EXPECT_EQ(engine_.held_blocks(engine_.block_ids(tokens, "")), 2U);
  EXPECT_EQ(replica_->last.tokens, std::vector<TokenId>(tokens.begin(), tokens.begin() + 2 * kBlock));
  engine_.receive_blocks(tokens, "", 3);
  EXPECT_EQ(replica_->parents.size(), 3U);
  EXPECT_EQ(run({.prompt = tokens, .max_tokens = 1}).cached_tokens, 3 * kBlock);
}

TEST_F(SimulatedEngineBlocks, AreGoneOnceTheCacheIsCleared) {
  run({.prompt = prompt(4), .max_tokens = 1});
  EXPECT_GT(replica_->parents.size(), 0U);
  engine_.clear_blocks();
  EXPECT_EQ(replica_->parents.size(), 0U);
  EXPECT_EQ(engine_.load().store_blocks, 0U);
  EXPECT_EQ(run({.prompt = prompt(4), .max_tokens = 1}).cached_tokens, 0U);
  EXPECT_EQ(replica_->parents.size(), engine_.load().store_blocks);
}

}  // namespace
}  // namespace llmd
