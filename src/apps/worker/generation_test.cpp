#include "apps/worker/generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "runtime/testing/run.h"

namespace llmd::worker {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

/// An engine that the test drives step by step: it takes sequences and says what the test tells it to say.
class ScriptedEngine final : public Engine {
 public:
  const EngineInfo& info() const noexcept override { return info_; }
  EngineLoad load() const override { return {}; }
  Result<SequenceId> submit(SequenceRequest, std::shared_ptr<SequenceSink> sink) override {
    if (submitted >= accept) return fail(ErrorCode::kOverloaded, "full");
    sink_ = std::move(sink);
    return SequenceId{++submitted};
  }
  void cancel(SequenceId sequence) override { cancelled.push_back(sequence.value); }
  void set_step_sink(std::shared_ptr<StepSink>) override {}
  std::vector<BlockData> export_blocks(const std::vector<BlockId>&) override { return {}; }
  Result<void> import_blocks(std::vector<BlockData>) override { return {}; }
  kvstore::BlockStore* block_store() noexcept override { return nullptr; }
  std::vector<BlockId> block_ids(const std::vector<TokenId>&, const std::string&) const override { return {}; }
  void shut_down(std::chrono::milliseconds) override {}

  /// One engine step, from a thread as the real one's.
  void step(std::vector<std::pair<std::uint64_t, bool>> sequences) {
    std::vector<SequenceEvent> events;
    for (const auto& [id, finishes] : sequences) {
      SequenceEvent& event = events.emplace_back(SequenceEvent{.sequence = SequenceId{id}});
      event.tokens.push_back({.token = 1, .text = "t"});
      if (finishes) event.finish = FinishReason::kStop;
    }
    std::thread{[&] { sink_->on_events(std::move(events)); }}.join();
  }

  std::uint64_t submitted = 0;
  std::uint64_t accept = 100;
  std::vector<std::uint64_t> cancelled;

 private:
  EngineInfo info_;
  std::shared_ptr<SequenceSink> sink_;
};

struct GenerationTest : testing::Test {
  Loop loop{"test"};
  ScriptedEngine engine;
  std::shared_ptr<EventRouter> router = std::make_shared<EventRouter>(loop);
  [[nodiscard]] static TimePoint soon() { return SteadyClock::now() + seconds{5}; }
};

TEST_F(GenerationTest, GivesEachSequencesEventsUnderItsNumberAndEndsWithTheLast) {
  std::vector<std::vector<std::size_t>> seen;
  testkit::run_task(loop, [](GenerationTest& test, auto& batches) -> Task<void> {
    Generation generation{test.loop, test.engine, test.router};
    EXPECT_TRUE(generation.submit({}).has_value());
    EXPECT_TRUE(generation.submit({}).has_value());
    test.engine.step({{2, false}, {1, false}});
    for (int round = 0; round < 10; ++round) {
      const auto items = co_await generation.next(soon());
      EXPECT_TRUE(items.has_value());
      if (!items || items->empty()) break;
      auto& batch = batches.emplace_back();
      for (const auto& item : *items) batch.push_back(item.index);
      if (round == 0) test.engine.step({{1, true}});
      if (round == 1) test.engine.step({{2, true}});
    }
  }(*this, seen));
  EXPECT_THAT(seen, ElementsAre(ElementsAre(1, 0), ElementsAre(0), ElementsAre(1)));
  EXPECT_TRUE(engine.cancelled.empty());
  EXPECT_EQ(router->attached(), 0U);
}

TEST_F(GenerationTest, CancelsWhatStillRunsWhenItIsDestroyed) {
  testkit::run_task(loop, [](GenerationTest& test) -> Task<void> {
    {
      Generation generation{test.loop, test.engine, test.router};
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(generation.submit({}).has_value());
      test.engine.step({{2, true}});
      const auto items = co_await generation.next(soon());
      EXPECT_TRUE(items.has_value());
    }
    test.engine.step({{1, false}, {3, true}});  // late events of a request that is gone
    co_await sleep_for(milliseconds{1});
  }(*this));
  EXPECT_THAT(engine.cancelled, UnorderedElementsAre(1, 3));
  EXPECT_EQ(router->attached(), 0U);
}

TEST_F(GenerationTest, SaysCancelledToAWaitingReader) {
  ErrorCode code = ErrorCode::kInternal;
  testkit::run_task(loop, [](GenerationTest& test, ErrorCode& seen) -> Task<void> {
    Generation generation{test.loop, test.engine, test.router};
    EXPECT_TRUE(generation.submit({}).has_value());
    test.loop.post([&] { generation.cancel(); });
    const auto items = co_await generation.next(soon());
    if (!items) seen = items.error().code;
  }(*this, code));
  EXPECT_EQ(code, ErrorCode::kCancelled);
  EXPECT_THAT(engine.cancelled, ElementsAre(1));
}

TEST_F(GenerationTest, EndsAWaitAtItsDeadline) {
  ErrorCode code = ErrorCode::kInternal;
  testkit::run_task(loop, [](GenerationTest& test, ErrorCode& seen) -> Task<void> {
    Generation generation{test.loop, test.engine, test.router};
    EXPECT_TRUE(generation.submit({}).has_value());
    const auto items = co_await generation.next(SteadyClock::now());
    if (!items) seen = items.error().code;
  }(*this, code));
  EXPECT_EQ(code, ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(engine.cancelled, ElementsAre(1));
}

TEST_F(GenerationTest, CancelsTheFirstChoicesWhenALaterOneIsRefused) {
  engine.accept = 2;
  {
    Generation generation{loop, engine, router};
    EXPECT_TRUE(generation.submit({}).has_value());
    EXPECT_TRUE(generation.submit({}).has_value());
    const auto refused = generation.submit({});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  }
  EXPECT_THAT(engine.cancelled, UnorderedElementsAre(1, 2));
}

}  // namespace
}  // namespace llmd::worker
