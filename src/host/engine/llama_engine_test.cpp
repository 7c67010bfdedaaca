#include "engine/llama_engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "engine/test_engine.h"
#include "llamacpp/chat_template.h"

namespace llmd {
namespace {

constexpr const char* kStory =
    "Once upon a time there was a small village at the foot of a mountain. The people of the village were known for "
    "their "
    "bread, which they baked every morning in a large oven of stone. One day a traveller came and asked";

/// One engine for the tests that leave nothing behind.
LlamaEngine& shared_engine() {
  static const std::unique_ptr<LlamaEngine> engine = make_engine();
  return *engine;
}

TEST(LlamaEngine, StreamsOneTokenAnEventAndEndsAtMaxTokens) {
  const Answer answer = run(shared_engine(), greedy(encode(shared_engine(), kStory)));
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(answer.tokens.size(), 12U);
  EXPECT_EQ(answer.events, 12U);
  EXPECT_EQ(answer.usage.completion_tokens, 12U);
  EXPECT_FALSE(answer.text.empty());
}

TEST(LlamaEngine, GivesTheSameTextWithACachedPrefixAndSaysHowMuchWasCached) {
  auto engine = make_engine();
  const auto prompt = encode(*engine, kStory);
  const Answer first = run(*engine, greedy(prompt));
  const Answer second = run(*engine, greedy(prompt));
  EXPECT_EQ(first.tokens, second.tokens);
  EXPECT_EQ(first.usage.cached_tokens, 0U);
  EXPECT_EQ(second.usage.cached_tokens, prompt.size() / 16 * 16);
  SequenceRequest salted = greedy(prompt);
  salted.cache_salt = "other tenant";
  EXPECT_EQ(run(*engine, std::move(salted)).usage.cached_tokens, 0U);
  const EngineLoad load = engine->load();
  EXPECT_EQ(load.prefix_hits_tokens, second.usage.cached_tokens);
  EXPECT_EQ(load.prefix_queries_tokens, 3 * prompt.size());
}

TEST(LlamaEngine, GivesTheSameTextWhateverSharesTheBatch) {
  const struct {
    const char* name;
    float temperature;
  } kCases[] = {{"greedy", 0}, {"sampled", 0.9F}};
  for (const auto& test : kCases) {
    const auto request_of = [&](LlamaEngine& engine, int i) {
      SequenceRequest request = greedy(encode(engine, std::string{kStory}.substr(0, 60 + 13 * i)), 16);
      request.sampling.temperature = test.temperature;
      request.sampling.seed = 1'000 + i;
      return request;
    };
    EngineOptions options = test_options();
    options.store_bytes = 0;
    std::vector<std::vector<TokenId>> alone;
    auto engine = make_engine(options);
    for (int i = 0; i < 8; ++i) alone.push_back(run(*engine, request_of(*engine, i)).tokens);
    auto sink = std::make_shared<Collector>();
    std::vector<SequenceId> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(engine->submit(request_of(*engine, i), sink).value());
    for (std::size_t i = 0; i < ids.size(); ++i)
      EXPECT_EQ(sink->wait(ids[i]).tokens, alone[i]) << test.name << " " << i;
  }
}

TEST(LlamaEngine, RefusesWhatItCannotServeBeforeAnyCompute) {
  auto sink = std::make_shared<Collector>();
  SequenceRequest bad_grammar = greedy({1, 2, 3});
  bad_grammar.sampling.grammar.gbnf = "root ::= (";
  SequenceRequest embed = greedy({1, 2, 3});
  embed.embed = true;
  const struct {
    const char* name;
    SequenceRequest request;
    ErrorCode code;
  } kCases[] = {
      {"empty", greedy({}), ErrorCode::kInvalidRequest},
      {"token outside the vocabulary", greedy({1, 1'000'000}), ErrorCode::kInvalidRequest},
      {"negative token", greedy({-1}), ErrorCode::kInvalidRequest},
      {"prompt fills the context", greedy(std::vector<TokenId>(2'048, 5)), ErrorCode::kContextLengthExceeded},
      {"output beyond the context", greedy(std::vector<TokenId>(2'000, 5), 100), ErrorCode::kContextLengthExceeded},
      {"grammar", bad_grammar, ErrorCode::kInvalidGrammar},
      {"embedding", embed, ErrorCode::kUnsupported},
  };
  const std::uint64_t steps = shared_engine().load().steps;
  for (const auto& test : kCases) {
    const auto id = shared_engine().submit(test.request, sink);
    ASSERT_FALSE(id) << test.name;
    EXPECT_EQ(id.error().code, test.code) << test.name << ": " << id.error().to_string();
  }
  EXPECT_EQ(shared_engine().load().steps, steps);
}

TEST(LlamaEngine, CancellationEndsASequenceAndFreesItsSlot) {
  EngineOptions options = test_options();
  options.sequences_max = 1;
  auto engine = make_engine(options);
  auto sink = std::make_shared<Collector>();
  const SequenceId endless = engine->submit(greedy(encode(*engine, kStory), 1'500), sink).value();
  const SequenceId waiting = engine->submit(greedy(encode(*engine, "The capital of France is"), 4), sink).value();
  static_cast<void>(sink->wait_for(endless, [](const Answer& answer) { return answer.tokens.size() >= 3; }));
  engine->cancel(endless);
  const Answer cancelled = sink->wait(endless);
  EXPECT_EQ(cancelled.finish, FinishReason::kCancelled);
  EXPECT_LT(cancelled.tokens.size(), 1'000U);
  EXPECT_EQ(sink->wait(waiting).finish, FinishReason::kLength);
  engine->cancel(endless);  // unknown by now
  engine->shut_down(std::chrono::seconds{10});
  EXPECT_EQ(engine->load().running, 0U);
  EXPECT_EQ(engine->load().kv_usage, 0.0F);
}

TEST(LlamaEngine, SaysWhenASequenceGotItsSlotAndItsTokens) {
  const TimePoint before = SteadyClock::now();
  const Answer answer = run(shared_engine(), greedy(encode(shared_engine(), kStory)));
  const SequenceTimes& times = answer.times;
  ASSERT_TRUE(times.scheduled && times.first_token && times.last_token);
  EXPECT_LE(before, times.queued);
  EXPECT_LE(times.queued, *times.scheduled);
  EXPECT_LT(*times.scheduled, *times.first_token);
  EXPECT_LT(*times.first_token, *times.last_token) << "twelve tokens";
  EXPECT_LE(*times.last_token, SteadyClock::now());
}

TEST(LlamaEngine, SaysThatACancelledSequenceNeverHadASlot) {
  EngineOptions options = test_options();
  options.sequences_max = 1;
  auto engine = make_engine(options);
  auto sink = std::make_shared<Collector>();
  const SequenceId endless = engine->submit(greedy(encode(*engine, kStory), 1'500), sink).value();
  const SequenceId waiting = engine->submit(greedy(encode(*engine, kStory), 4), sink).value();
  static_cast<void>(sink->wait_for(endless, [](const Answer& answer) { return !answer.tokens.empty(); }));
  engine->cancel(waiting);
  EXPECT_FALSE(sink->wait(waiting).times.scheduled);
  engine->cancel(endless);
  EXPECT_TRUE(sink->wait(endless).times.first_token);
}

TEST(LlamaEngine, TellsOfEachStepHowManyTokensItComputedAndMade) {
  class Steps final : public StepSink {
   public:
    void on_step(const StepFacts& step) noexcept override {
      ++count;
      prompt += step.prompt_tokens;
      generated += step.generated_tokens;
    }
    std::uint64_t count = 0, prompt = 0, generated = 0;  // read once the engine has shut down
  };
  auto engine = make_engine();
  const auto steps = std::make_shared<Steps>();
  engine->set_step_sink(steps);
  const auto prompt = encode(*engine, kStory);
  static_cast<void>(run(*engine, greedy(prompt)));
  engine->shut_down(std::chrono::seconds{10});
  EXPECT_EQ(steps->prompt, prompt.size());
  EXPECT_EQ(steps->generated, 12U);
  EXPECT_EQ(steps->count, engine->load().steps);
}

TEST(LlamaEngine, RefusesBeyondItsQueue) {
  EngineOptions options = test_options();
  options.sequences_max = 1;
  options.waiting_max = 2;
  auto engine = make_engine(options);
  auto sink = std::make_shared<Collector>();
  std::vector<SequenceId> ids;
  std::optional<Error> refused;
  for (int i = 0; i < 20 && !refused; ++i) {
    const auto id = engine->submit(greedy(encode(*engine, kStory), 30), sink);
    if (id) ids.push_back(*id);
    if (!id) refused = id.error();
  }
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kOverloaded);
  for (const SequenceId id : ids) EXPECT_EQ(sink->wait(id).finish, FinishReason::kLength);
  EXPECT_TRUE(engine->submit(greedy(encode(*engine, kStory), 2), sink));
  engine->shut_down(std::chrono::seconds{10});
}

TEST(LlamaEngine, NeverShowsAStopStringAndSaysWhichEndedIt) {
  const auto prompt = encode(shared_engine(), kStory);
  const Answer whole = run(shared_engine(), greedy(prompt, 24));
  ASSERT_GT(whole.text.size(), 20U);
  const std::string stop = whole.text.substr(10, 5);
  SequenceRequest request = greedy(prompt, 24);
  request.stop = {"never seen", stop};
  request.sampling.top_logprobs = 2;
  const Answer stopped = run(shared_engine(), std::move(request));
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
  EXPECT_EQ(stopped.stop_string, stop);
  EXPECT_EQ(stopped.text, whole.text.substr(0, whole.text.find(stop)));
  std::string told;
  for (const TokenLogprobs& one : stopped.logprobs) told += one.chosen.text;
  EXPECT_EQ(told, stopped.text) << "logprobs tell of the text alone";
}

TEST(LlamaEngine, ObeysAJsonSchema) {
  SequenceRequest request = greedy(encode(shared_engine(), "A person as JSON:"), 60);
  request.sampling.temperature = 1.0F;
  request.sampling.seed = 3;
  request.sampling.grammar.gbnf =
      llamacpp::schema_to_gbnf(R"({"type":"object","properties":{"ok":{"type":"boolean"},"n":{"enum":[1,2]}},)"
                               R"("required":["ok","n"],"additionalProperties":false})")
          .value();
  const Answer answer = run(shared_engine(), std::move(request));
  EXPECT_EQ(answer.finish, FinishReason::kStop) << answer.text;
  EXPECT_TRUE(answer.text.find("\"ok\"") != std::string::npos && answer.text.find("\"n\"") != std::string::npos &&
              answer.text.ends_with("}"))
      << answer.text;
}

TEST(LlamaEngine, ReportsLogprobsOfOutputAndPrompt) {
  const auto prompt = encode(shared_engine(), "The capital of France is Paris. The capital of Spain is");
  SequenceRequest request = greedy(prompt, 3);
  request.sampling.top_logprobs = 2;
  request.prompt_logprobs = 3;
  const Answer answer = run(shared_engine(), std::move(request));
  ASSERT_EQ(answer.outputs.size(), 3U);
  ASSERT_EQ(answer.logprobs.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const TokenLogprobs& logprobs = answer.logprobs[i];
    EXPECT_EQ(logprobs.chosen.token, answer.tokens[i]);
    ASSERT_EQ(logprobs.top.size(), 2U);
    EXPECT_EQ(logprobs.top[0].token, answer.tokens[i]);  // greedy
    EXPECT_FLOAT_EQ(logprobs.top[0].logprob, logprobs.chosen.logprob);
    EXPECT_LE(logprobs.chosen.logprob, 0.0F);
  }
  ASSERT_EQ(answer.prompt_logprobs.size(), prompt.size());
  EXPECT_FALSE(answer.prompt_logprobs[0].has_value());
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    ASSERT_TRUE(answer.prompt_logprobs[i].has_value()) << i;
    const TokenLogprobs& logprobs = *answer.prompt_logprobs[i];
    EXPECT_EQ(logprobs.chosen.token, prompt[i]);
    ASSERT_EQ(logprobs.top.size(), 3U);
    EXPECT_GE(logprobs.top[0].logprob, logprobs.chosen.logprob);
    EXPECT_GE(logprobs.top[0].logprob, logprobs.top[2].logprob);
  }
  EXPECT_EQ(run(shared_engine(), greedy(prompt, 3)).tokens, answer.tokens);
}

TEST(LlamaEngine, MovesASequenceThatOutgrowsItsSlotWithoutChangingItsText) {
  EngineOptions options = test_options();
  options.kv_bytes = 400ULL << 20U;
  options.sequences_max = 64;
  auto engine = make_engine(options);
  std::vector<TokenId> prompt;
  while (prompt.size() < 480) {
    const auto part = encode(*engine, kStory);
    prompt.insert(prompt.end(), part.begin(), part.end());
  }
  prompt.resize(480);
  SequenceRequest request = greedy(prompt, 60);
  request.sampling.ignore_eos = true;
  const Answer moved = run(*engine, request);
  EXPECT_EQ(moved.tokens.size(), 60U);
  options.sequences_max = 1;  // one slot of the whole context
  options.store_bytes = 0;
  auto roomy = make_engine(options);
  EXPECT_EQ(run(*roomy, request).tokens, moved.tokens);
}

TEST(LlamaEngine, AHigherPriorityPreemptsAndThePreemptedOneEndsAsIfNothingHappened) {
  EngineOptions options = test_options();
  options.sequences_max = 1;
  auto engine = make_engine(options);
  const Answer alone = run(*engine, greedy(encode(*engine, kStory), 60));
  auto sink = std::make_shared<Collector>();
  const SequenceId low = engine->submit(greedy(encode(*engine, kStory), 60), sink).value();
  static_cast<void>(sink->wait_for(low, [](const Answer& answer) { return answer.tokens.size() >= 20; }));
  SequenceRequest urgent = greedy(encode(*engine, "Fire!"), 5);
  urgent.priority = 10;
  const SequenceId high = engine->submit(std::move(urgent), sink).value();
  EXPECT_EQ(sink->wait(high).finish, FinishReason::kLength);
  EXPECT_EQ(sink->wait(low).tokens, alone.tokens);
  EXPECT_EQ(engine->load().preemptions, 1U);
}

TEST(LlamaEngine, ASecondEngineContinuesFromReceivedBlocks) {
  auto prefill = make_engine();
  const auto prompt = encode(*prefill, kStory);
  const Answer expected = run(*prefill, greedy(prompt));
  const std::vector<BlockId> ids = prefill->block_ids(prompt, "");
  ASSERT_EQ(ids.size(), prompt.size() / 16);
  std::vector<BlockData> blocks = prefill->export_blocks(ids);
  ASSERT_EQ(blocks.size(), ids.size());

  auto decode = make_engine();
  EXPECT_EQ(decode->block_ids(prompt, ""), ids);
  ASSERT_TRUE(decode->import_blocks(std::move(blocks)));
  const Answer answer = run(*decode, greedy(prompt));
  EXPECT_EQ(answer.tokens, expected.tokens);
  EXPECT_EQ(answer.usage.cached_tokens, ids.size() * 16);
  EXPECT_EQ(decode->load().prompt_tokens, prompt.size() - ids.size() * 16);
}

TEST(LlamaEngine, ComputesANewPrefixOnceForSimultaneousSequencesAndGivesEachItsOwnText) {
  constexpr int kSequences = 6;
  auto engine = make_engine();
  const auto prefix = encode(*engine, std::string{kStory} + kStory);
  std::vector<SequenceRequest> requests;
  for (int i = 0; i < kSequences; ++i) {
    std::vector<TokenId> prompt = prefix;
    const auto question = encode(*engine, "Question " + std::to_string(i) + ": why?");
    prompt.insert(prompt.end(), question.begin(), question.end());
    requests.push_back(greedy(std::move(prompt), 8));
    requests.back().sampling.top_logprobs = 1;
  }
  auto sink = std::make_shared<Collector>();
  std::vector<SequenceId> ids;
  for (const SequenceRequest& request : requests) ids.push_back(engine->submit(request, sink).value());
  int computed_it = 0;
  EngineOptions uncached = test_options();
  uncached.store_bytes = 0;
  auto alone = make_engine(uncached);
  for (int i = 0; i < kSequences; ++i) {
    const Answer answer = sink->wait(ids[i]);
    computed_it += answer.usage.cached_tokens == 0 ? 1 : 0;
    if (answer.usage.cached_tokens > 0) {
      EXPECT_GE(answer.usage.cached_tokens, prefix.size() / 16 * 16) << i;
    }
    const Answer expected = run(*alone, requests[i]);
    EXPECT_EQ(answer.tokens, expected.tokens) << i;
    ASSERT_EQ(answer.logprobs.size(), expected.logprobs.size()) << i;
    for (std::size_t k = 0; k < expected.logprobs.size(); ++k) {
      EXPECT_EQ(answer.logprobs[k].chosen.logprob, expected.logprobs[k].chosen.logprob) << i << ", token " << k;
    }
  }
  EXPECT_EQ(computed_it, 1);
}

TEST(LlamaEngine, ASequenceThatAwaitsAPrefixGoesOnWhenTheOneThatComputesItIsCancelled) {
  auto engine = make_engine();
  std::vector<TokenId> prompt;
  while (prompt.size() < 500) {
    const auto part = encode(*engine, kStory);
    prompt.insert(prompt.end(), part.begin(), part.end());
  }
  auto sink = std::make_shared<Collector>();
  const SequenceId first = engine->submit(greedy(prompt, 8), sink).value();
  const SequenceId second = engine->submit(greedy(prompt, 8), sink).value();
  engine->cancel(first);
  EXPECT_EQ(sink->wait(first).finish, FinishReason::kCancelled);
  EXPECT_EQ(sink->wait(second).tokens, run(*engine, greedy(prompt, 8)).tokens);
}

TEST(LlamaEngine, RefusesABlockOfTheWrongSize) {
  auto engine = make_engine();
  std::vector<std::byte> bytes(7);
  const auto imported = engine->import_blocks({{.id = {}, .bytes = kvstore::BlockHandle::copy_of(bytes)}});
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().code, ErrorCode::kBlockMismatch);
}

TEST(LlamaEngine, ShutDownLetsSequencesFinishAndThenEndsTheRest) {
  auto engine = make_engine();
  auto sink = std::make_shared<Collector>();
  const SequenceId quick = engine->submit(greedy(encode(*engine, kStory), 2), sink).value();
  const SequenceId endless = engine->submit(greedy(encode(*engine, kStory), 1'900), sink).value();
  static_cast<void>(sink->wait(quick));
  engine->shut_down(std::chrono::milliseconds{1});
  const Answer ended = sink->wait(endless);
  EXPECT_EQ(ended.finish, FinishReason::kError);
  EXPECT_EQ(ended.error->code, ErrorCode::kShuttingDown);
  const auto refused = engine->submit(greedy({1}), sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kShuttingDown);
}

TEST(LlamaEngine, EmbedsPromptsAsUnitVectors) {
  EngineOptions options = test_options();
  options.pooling = llamacpp::Pooling::kMean;
  auto engine = make_engine(options);
  ASSERT_TRUE(engine->info().embeddings);
  const auto embed = [&](const std::string& text) {
    SequenceRequest request = greedy(encode(*engine, text));
    request.embed = true;
    return run(*engine, std::move(request)).embedding;
  };
  const auto cosine = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
  };
  const auto cat = embed("The cat sleeps on the sofa.");
  ASSERT_EQ(cat.size(), 576U);
  EXPECT_NEAR(cosine(cat, cat), 1, 1e-5);
  EXPECT_EQ(embed("The cat sleeps on the sofa."), cat);
  EXPECT_LT(cosine(cat, embed("int main() { return 0; }")), cosine(cat, embed("The cat sleeps on the chair.")));
}

TEST(LlamaEngineMake, RefusesMemoryThatDoesNotExist) {
  EngineOptions options = test_options();
  options.kv_bytes = 1ULL << 50U;
  options.context_tokens = 0;
  options.sequences_max = 256;
  const auto engine = LlamaEngine::make(options);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, ErrorCode::kOutOfMemory);
}

TEST(LlamaEngineMake, RefusesAContextBeyondTheTrainedOneUnlessToldOtherwise) {
  EngineOptions options = test_options();
  options.context_tokens = shared_engine().model()->info().context_tokens + 1;
  const auto refused = LlamaEngine::make(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConfigInvalid);
  EXPECT_NE(refused.error().what.find("trained for"), std::string::npos) << refused.error().what;
  options.kv_bytes = 0;
  options.allow_long_context = true;
  EXPECT_EQ(make_engine(options)->info().context_tokens, options.context_tokens);
}

}  // namespace
}  // namespace llmd
