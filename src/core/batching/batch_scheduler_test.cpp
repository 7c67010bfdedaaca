#include "batching/batch_scheduler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "batching/slot_model.h"

namespace llmd::batching {
namespace {

constexpr std::uint32_t kAnyOutput = 1'000'000;

/// A scheduler and what it drives, stepped by hand.
class Bench {
 public:
  explicit Bench(BatchingOptions options) : scheduler_{options}, model_{options} {}

  struct Adding {
    std::uint32_t prompt = 8;
    std::uint32_t output = kAnyOutput;
    std::uint32_t tokens_max = kAnyOutput;
    std::int32_t priority = 0;
    bool no_restore = false;
    std::vector<SlotModel::Prefix> prefixes{};
  };
  SequenceId add(const Adding& adding) {
    const SequenceSpec spec{.id = SequenceId{next_++},
                            .prompt_tokens = adding.prompt,
                            .tokens_max = adding.tokens_max,
                            .priority = adding.priority,
                            .no_restore = adding.no_restore};
    EXPECT_TRUE(scheduler_.add(spec).has_value());
    model_.add(spec, adding.output, adding.prefixes);
    return spec.id;
  }
  StepPlan step() {
    StepPlan plan = scheduler_.schedule(model_.restorable(), model_.shares());
    scheduler_.update(model_.run(plan));
    EXPECT_TRUE(scheduler_.check_integrity());
    return plan;
  }
  void steps(int count) {
    while (count-- > 0) step();
  }
  void remove(SequenceId id) {
    scheduler_.remove(id);
    model_.remove(id);
  }
  [[nodiscard]] bool runs(SequenceId id) const { return model_.state(id).slot.has_value(); }
  [[nodiscard]] std::uint32_t class_of(SequenceId id) const { return model_.state(id).slot.value().slot_class; }
  [[nodiscard]] BatchScheduler& scheduler() { return scheduler_; }
  [[nodiscard]] SlotModel& model() { return model_; }

 private:
  std::uint64_t next_ = 1;
  BatchScheduler scheduler_;
  SlotModel model_;
};

BatchingOptions one_class(std::uint32_t slots, std::uint32_t tokens_max = 1'024) {
  return {.classes = {{.slots = slots, .tokens_max = tokens_max}},
          .step_tokens_max = 64,
          .prefill_chunk_max = 64,
          .block_tokens = 8};
}

BatchingOptions small_and_large(std::uint32_t small, std::uint32_t large, float reserve = 0.0F) {
  return {.classes = {{.slots = small, .tokens_max = 64}, {.slots = large, .tokens_max = 1'024}},
          .step_tokens_max = 256,
          .prefill_chunk_max = 256,
          .block_tokens = 8,
          .growth_reserve = reserve};
}

TEST(BatchScheduler, RunsDecodeTokensBeforePrefill) {
  Bench bench{one_class(4)};
  const auto young = bench.add({.prompt = 8});
  bench.step();
  bench.add({.prompt = 500, .priority = 9});
  const StepPlan plan = bench.step();
  ASSERT_EQ(plan.work.size(), 2U);
  EXPECT_EQ(plan.work[0].id, young);
  EXPECT_EQ(plan.work[0].count, 1U);
  EXPECT_TRUE(plan.work[0].sample);
  EXPECT_EQ(plan.work[1].count, 63U) << "what the budget leaves";
  EXPECT_FALSE(plan.work[1].sample);
}

TEST(BatchScheduler, PrefillsSeveralWholePromptsInOneStep) {
  Bench bench{one_class(4)};
  for (int i = 0; i < 3; ++i) bench.add({.prompt = 20});
  const StepPlan plan = bench.step();
  ASSERT_EQ(plan.work.size(), 3U);
  for (const Work& work : plan.work) EXPECT_TRUE(work.sample);
}

TEST(BatchScheduler, DoesNotStartAPieceBelowABlockBesideAnotherPrefill) {
  Bench bench{one_class(4)};
  bench.add({.prompt = 60});
  const auto second = bench.add({.prompt = 60});
  EXPECT_EQ(bench.step().work.size(), 1U);
  EXPECT_FALSE(bench.runs(second)) << "a slot before its turn would compute nothing";
}

TEST(BatchScheduler, ChunksAPromptLongerThanTheBudget) {
  Bench bench{one_class(1)};
  bench.add({.prompt = 150});
  std::vector<std::uint32_t> counts;
  for (int i = 0; i < 4; ++i) counts.push_back(bench.step().work.at(0).count);
  EXPECT_EQ(counts, (std::vector<std::uint32_t>{64, 64, 22, 1}));
}

TEST(BatchScheduler, ComputesTheLastTokenOfAPromptThatIsStoredWhole) {
  Bench bench{one_class(1)};
  const auto id = bench.add({.prompt = 64});
  bench.model().store(id, 64);
  const StepPlan plan = bench.step();
  EXPECT_EQ(plan.admissions.at(0).restore_tokens, 56U);
  EXPECT_EQ(plan.work.at(0).first, 56U);
  EXPECT_EQ(plan.work.at(0).count, 8U);
}

TEST(BatchScheduler, RestoresNothingForASequenceThatNeedsEveryPromptToken) {
  Bench bench{one_class(1)};
  const auto id = bench.add({.prompt = 64, .no_restore = true});
  bench.model().store(id, 64);
  const StepPlan plan = bench.step();
  EXPECT_EQ(plan.admissions.at(0).restore_tokens, 0U);
  EXPECT_EQ(plan.work.at(0).count, 64U);
}

TEST(BatchScheduler, ComputesFromWhereAShortRestoreEnded) {
  Bench bench{one_class(1)};
  const auto id = bench.add({.prompt = 64});
  const StepPlan plan = bench.scheduler().schedule([](SequenceId) { return 32U; });
  EXPECT_EQ(plan.work.at(0).first, 32U);
  bench.model().store(id, 16);  // two blocks went between look-up and restore
  bench.scheduler().update(bench.model().run(plan));
  EXPECT_EQ(bench.step().work.at(0).first, 16U);
}

TEST(BatchScheduler, RunsAFailedBatchAgain) {
  Bench bench{one_class(1)};
  const auto id = bench.add({.prompt = 64});
  const StepPlan plan = bench.scheduler().schedule(bench.model().restorable());
  bench.scheduler().update({{.id = id, .computed = 0}});
  const StepPlan again = bench.scheduler().schedule(bench.model().restorable());
  EXPECT_TRUE(again.admissions.empty());
  EXPECT_EQ(again.work.at(0).first, plan.work.at(0).first);
  EXPECT_EQ(again.work.at(0).count, plan.work.at(0).count);
}

TEST(BatchScheduler, MovesASequenceThatOutgrowsItsSlot) {
  Bench bench{small_and_large(1, 1)};
  const auto id = bench.add({.prompt = 56});
  bench.step();
  EXPECT_EQ(bench.class_of(id), 0U);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(bench.step().evictions.empty());  // 64 tokens computed, the 65th is known
  const StepPlan plan = bench.step();
  ASSERT_EQ(plan.evictions.size(), 1U);
  EXPECT_TRUE(plan.evictions[0].moving);
  EXPECT_EQ(plan.admissions.at(0).slot, (Slot{1, 0}));
  EXPECT_EQ(plan.admissions.at(0).restore_tokens, 64U);
  EXPECT_TRUE(plan.admissions.at(0).resumed);
  EXPECT_EQ(plan.work.at(0).count, 1U) << "only the tail after the last whole block is computed again";
}

TEST(BatchScheduler, FreesTheSlotOfAnOutgrownSequenceThoughNoLargerOneIsFree) {
  Bench bench{small_and_large(1, 1)};
  const auto large = bench.add({.prompt = 100});
  const auto grows = bench.add({.prompt = 56});
  const auto waits = bench.add({.prompt = 8});
  bench.steps(10);
  EXPECT_TRUE(bench.runs(large));
  EXPECT_FALSE(bench.runs(grows));
  EXPECT_TRUE(bench.runs(waits));
  bench.remove(large);
  bench.step();
  EXPECT_EQ(bench.class_of(grows), 1U);
}

TEST(BatchScheduler, TakesTheSmallestClassThatHoldsThePromptAndABlockOfOutput) {
  const struct {
    std::string name;
    std::uint32_t prompt, tokens_max, slot_class;
  } cases[] = {{"short", 8, kAnyOutput, 0},
               {"room for exactly a block", 56, kAnyOutput, 0},
               {"no room for a block", 57, kAnyOutput, 1},
               {"less output wanted than a block", 60, 64, 0},
               {"no output wanted", 64, 64, 0},
               {"long", 500, kAnyOutput, 1}};
  for (const auto& row : cases) {
    Bench bench{small_and_large(1, 1)};
    bench.add({.prompt = row.prompt, .output = 9, .tokens_max = row.tokens_max});
    EXPECT_EQ(bench.step().admissions.at(0).slot.slot_class, row.slot_class) << row.name;
  }
}

TEST(BatchScheduler, BorrowsALargerSlotOnlyAboveTheReserve) {
  Bench bench{small_and_large(1, 4, 0.5F)};
  std::vector<SequenceId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(bench.add({.prompt = 8}));
  bench.step();
  EXPECT_EQ(bench.class_of(ids[0]), 0U);
  EXPECT_EQ(bench.class_of(ids[1]), 1U);
  EXPECT_EQ(bench.class_of(ids[2]), 1U);
  EXPECT_FALSE(bench.runs(ids[3])) << "two of four large slots stay free";
  const auto large = bench.add({.prompt = 100});
  bench.step();
  EXPECT_FALSE(bench.runs(large)) << "it is new as well";
}

TEST(BatchScheduler, AlwaysLeavesALongPromptTheOnlyLargeSlotThatShortOnesMayNotBorrow) {
  Bench bench{small_and_large(1, 1, 0.1F)};
  for (int i = 0; i < 3; ++i) bench.add({.prompt = 8});
  bench.step();
  EXPECT_EQ(bench.scheduler().running(), 1U);
  const auto large = bench.add({.prompt = 100});
  bench.step();
  EXPECT_TRUE(bench.runs(large));
}

TEST(BatchScheduler, GivesALargeSlotToTheLongPromptThatWaitsBeforeYoungerShortOnes) {
  Bench bench{small_and_large(1, 1)};
  bench.add({.prompt = 8, .output = 20});
  bench.add({.prompt = 8, .output = 20});  // borrows the large slot
  bench.step();
  const auto large = bench.add({.prompt = 100, .output = 5});
  int steps = 0;
  for (; bench.model().contains(large) && steps < 100; ++steps) {
    bench.add({.prompt = 8, .output = 20});  // a stream that would fill any slot
    bench.step();
  }
  EXPECT_LE(steps, 26);
}

TEST(BatchScheduler, DoesNotHoldALongPromptBackForGrowingShortOnesBeyondItsPatience) {
  Bench bench{small_and_large(4, 2, 0.5F)};
  bench.add({.prompt = 100, .output = 60});
  bench.step();
  const auto large = bench.add({.prompt = 100, .output = 5});
  int steps = 0;
  for (; bench.model().contains(large) && steps < 500; ++steps) {
    if (bench.scheduler().waiting() < 8) bench.add({.prompt = 56, .output = 40});  // each grows into a large slot
    bench.step();
  }
  EXPECT_LE(steps, static_cast<int>(kReservePatienceSteps) + 60);
}

TEST(BatchScheduler, AdmitsFirstComeFirstServedWithinAPriority) {
  Bench bench{one_class(1)};
  std::vector<SequenceId> expected, got;
  for (int i = 0; i < 5; ++i) expected.push_back(bench.add({.prompt = 8, .output = 3}));
  const auto urgent = bench.add({.prompt = 8, .output = 3, .priority = 1});
  expected.insert(expected.begin(), urgent);
  for (int i = 0; i < 30; ++i) {
    for (const Admission& admission : bench.step().admissions) got.push_back(admission.id);
  }
  EXPECT_EQ(got, expected);
}

TEST(BatchScheduler, PreemptsTheYoungestOfTheLowestPriority) {
  Bench bench{one_class(3)};
  bench.add({.prompt = 8, .priority = 1});
  const auto old = bench.add({.prompt = 8});
  const auto young = bench.add({.prompt = 8});
  bench.step();
  const auto urgent = bench.add({.prompt = 8, .output = 4, .priority = 5});
  const StepPlan plan = bench.step();
  ASSERT_EQ(plan.evictions.size(), 1U);
  EXPECT_EQ(plan.evictions[0].id, young);
  EXPECT_FALSE(plan.evictions[0].moving);
  EXPECT_EQ(plan.admissions.at(0).id, urgent);
  EXPECT_TRUE(bench.runs(old));
  EXPECT_EQ(bench.scheduler().preemptions(), 1U);
  bench.steps(5);
  EXPECT_TRUE(bench.runs(young)) << "it comes back when the urgent one is done";
}

TEST(BatchScheduler, NeverPreemptsForAnEqualPriority) {
  Bench bench{one_class(1)};
  bench.add({.prompt = 8, .priority = 3});
  bench.step();
  bench.add({.prompt = 8, .priority = 3});
  bench.steps(50);
  EXPECT_EQ(bench.scheduler().preemptions(), 0U);
}

TEST(BatchScheduler, LetsAResumedSequenceGainABlockBeforeItIsPreemptedAgain) {
  Bench bench{one_class(1)};
  const auto low = bench.add({.prompt = 8});
  bench.step();
  bench.add({.prompt = 8, .output = 1, .priority = 1});
  bench.step();
  ASSERT_FALSE(bench.runs(low));
  bench.step();
  ASSERT_TRUE(bench.runs(low));
  const std::uint32_t back_with = bench.model().state(low).tokens;
  bench.add({.prompt = 8, .output = 1, .priority = 1});
  while (bench.runs(low)) bench.step();
  EXPECT_GE(bench.model().state(low).tokens, back_with + 7);
}

TEST(BatchScheduler, TakesAReservedSlotRatherThanPreempt) {
  Bench bench{small_and_large(1, 2, 0.5F)};
  bench.add({.prompt = 100});
  bench.step();
  bench.add({.prompt = 100, .priority = 1});
  EXPECT_TRUE(bench.step().evictions.empty());
  EXPECT_EQ(bench.scheduler().running(), 2U);
}

TEST(BatchScheduler, RunsEveryDecodingSequenceInEveryStepHoweverSmallTheBudget) {
  auto options = one_class(6);
  options.step_tokens_max = 4;
  Bench bench{options};
  for (int i = 0; i < 6; ++i) bench.add({.prompt = 3, .output = 10 + static_cast<std::uint32_t>(i)});
  for (int i = 0; i < 90; ++i) {
    std::size_t decoding = 0, ran = 0;
    for (const auto& [id, state] : bench.model().states()) decoding += state.tokens > 3 ? 1 : 0;
    for (const Work& work : bench.step().work) ran += work.first >= 3 ? 1 : 0;
    EXPECT_EQ(ran, decoding);
  }
  EXPECT_EQ(bench.model().size(), 0U);
}

/// Room for several prompts in one step.
BatchingOptions wide(std::uint32_t slots) {
  BatchingOptions options = one_class(slots);
  options.step_tokens_max = 256;
  return options;
}

TEST(BatchScheduler, ComputesAPrefixOnceForSequencesThatArriveTogether) {
  Bench bench{wide(8)};
  for (int i = 0; i < 8; ++i) bench.add({.prompt = 40, .prefixes = {{.name = 1, .tokens = 32}}});
  EXPECT_EQ(bench.step().work.size(), 1U);
  const StepPlan plan = bench.step();
  ASSERT_EQ(plan.admissions.size(), 7U);
  for (const Admission& admission : plan.admissions) EXPECT_EQ(admission.restore_tokens, 32U);
  EXPECT_EQ(bench.model().computed_tokens(), 40U + 7 * 8 + 1) << "the first one decodes a token meanwhile";
}

TEST(BatchScheduler, JoinsWhenTheOneAheadIsPastWhatTheyShare) {
  Bench bench{wide(4)};
  bench.add({.prompt = 500, .prefixes = {{.name = 1, .tokens = 60}}});
  const auto second = bench.add({.prompt = 100, .prefixes = {{.name = 1, .tokens = 60}}});
  bench.step();
  EXPECT_FALSE(bench.runs(second));
  EXPECT_EQ(bench.step().admissions.at(0).restore_tokens, 56U);
  EXPECT_TRUE(bench.runs(second)) << "though the one ahead has most of its prompt to compute";
}

TEST(BatchScheduler, FollowsTheOneThatSharesMoreAfterTheOneThatSharesLess) {
  Bench bench{wide(4)};
  bench.add({.prompt = 64, .prefixes = {{.name = 1, .tokens = 32}}});
  const auto second = bench.add({.prompt = 64, .prefixes = {{.name = 1, .tokens = 32}, {.name = 2, .tokens = 56}}});
  const auto third = bench.add({.prompt = 64, .prefixes = {{.name = 1, .tokens = 32}, {.name = 2, .tokens = 56}}});
  bench.step();
  EXPECT_EQ(bench.step().admissions.size(), 1U);
  EXPECT_TRUE(bench.runs(second));
  EXPECT_EQ(bench.step().admissions.at(0).restore_tokens, 56U);
  EXPECT_TRUE(bench.runs(third));
}

TEST(BatchScheduler, DoesNotHoldBackSequencesBehindOneThatAwaitsAPrefix) {
  Bench bench{wide(4)};
  bench.add({.prompt = 100, .prefixes = {{.name = 1, .tokens = 64}}});
  const auto waiting = bench.add({.prompt = 100, .prefixes = {{.name = 1, .tokens = 64}}});
  const auto other = bench.add({.prompt = 100});
  bench.step();
  EXPECT_FALSE(bench.runs(waiting));
  EXPECT_TRUE(bench.runs(other));
}

TEST(BatchScheduler, KeepsASlotForTheOneThatAwaitsAPrefix) {
  Bench bench{wide(2)};
  bench.add({.prompt = 100, .prefixes = {{.name = 1, .tokens = 96}}});
  const auto waiting = bench.add({.prompt = 100, .prefixes = {{.name = 1, .tokens = 96}}});
  const auto younger = bench.add({.prompt = 8});
  bench.steps(2);
  EXPECT_FALSE(bench.runs(younger)) << "it came later";
  EXPECT_EQ(bench.step().admissions.at(0).restore_tokens, 96U);
  EXPECT_TRUE(bench.runs(waiting));
}

TEST(BatchScheduler, KeepsThePreemptedSlotForTheUrgentOneThatAwaitsAPrefix) {
  Bench bench{wide(2)};
  const auto victim = bench.add({.prompt = 8});
  bench.step();
  bench.add({.prompt = 200, .priority = 5, .prefixes = {{.name = 1, .tokens = 192}}});
  const auto urgent = bench.add({.prompt = 200, .priority = 5, .prefixes = {{.name = 1, .tokens = 192}}});
  const auto younger = bench.add({.prompt = 8, .priority = 5});
  bench.steps(3);
  EXPECT_FALSE(bench.runs(urgent));
  EXPECT_FALSE(bench.runs(victim));
  EXPECT_FALSE(bench.runs(younger));
  bench.step();
  EXPECT_TRUE(bench.runs(urgent));
  EXPECT_EQ(bench.scheduler().preemptions(), 1U);
}

TEST(BatchScheduler, GoesOnAtOnceWhenTheOneAheadIsRemoved) {
  Bench bench{wide(4)};
  const auto leader = bench.add({.prompt = 500, .prefixes = {{.name = 1, .tokens = 400}}});
  const auto waiting = bench.add({.prompt = 420, .prefixes = {{.name = 1, .tokens = 400}}});
  bench.steps(2);
  EXPECT_FALSE(bench.runs(waiting));
  bench.remove(leader);
  EXPECT_EQ(bench.step().admissions.at(0).restore_tokens, 128U) << "what was computed by then";
}

TEST(BatchScheduler, GoesOnAtOnceWhenWhatTheOneAheadComputesIsNotStored) {
  Bench bench{wide(4)};
  bench.add({.prompt = 500, .prefixes = {{.name = 1, .tokens = 400}}});
  const auto waiting = bench.add({.prompt = 420, .prefixes = {{.name = 1, .tokens = 400}}});
  const auto nothing = [](SequenceId) { return 0U; };
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(bench.runs(waiting)) << i;
    bench.scheduler().update(bench.model().run(bench.scheduler().schedule(nothing, bench.model().shares())));
  }
  EXPECT_TRUE(bench.runs(waiting));
}

TEST(BatchScheduler, DoesNotAwaitAPrefixThatALowerPriorityComputes) {
  Bench bench{wide(4)};
  bench.add({.prompt = 500, .prefixes = {{.name = 1, .tokens = 400}}});
  bench.step();
  const auto urgent = bench.add({.prompt = 420, .priority = 1, .prefixes = {{.name = 1, .tokens = 400}}});
  EXPECT_EQ(bench.step().admissions.at(0).restore_tokens, 64U);
  EXPECT_TRUE(bench.runs(urgent));
}

TEST(BatchScheduler, DoesNotAwaitAPrefixThatItMayNotRestore) {
  Bench bench{wide(4)};
  bench.add({.prompt = 100, .prefixes = {{.name = 1, .tokens = 64}}});
  const auto whole = bench.add({.prompt = 100, .no_restore = true, .prefixes = {{.name = 1, .tokens = 64}}});
  bench.step();
  EXPECT_TRUE(bench.runs(whole));
}

TEST(BatchScheduler, FreesTheSlotOfARemovedSequenceBeforeTheNextStep) {
  Bench bench{one_class(1)};
  const auto first = bench.add({.prompt = 8});
  bench.step();
  const auto second = bench.add({.prompt = 8});
  EXPECT_EQ(bench.scheduler().remove(first), (Slot{0, 0}));
  EXPECT_EQ(bench.scheduler().remove(first), std::nullopt);
  bench.model().remove(first);
  bench.step();
  EXPECT_TRUE(bench.runs(second));
}

TEST(BatchScheduler, IgnoresOutcomesOfASequenceRemovedDuringTheStep) {
  Bench bench{one_class(1)};
  const auto id = bench.add({.prompt = 8});
  const StepPlan plan = bench.scheduler().schedule(bench.model().restorable());
  bench.scheduler().remove(id);
  bench.scheduler().update(bench.model().run(plan));
  EXPECT_TRUE(bench.scheduler().check_integrity());
  EXPECT_EQ(bench.scheduler().running() + bench.scheduler().waiting(), 0U);
}

TEST(BatchScheduler, ACopyGoesOnByItself) {
  Bench bench{one_class(2)};
  const auto first = bench.add({.prompt = 8});
  bench.add({.prompt = 8});
  bench.add({.prompt = 8});
  bench.step();
  BatchScheduler copy{bench.scheduler()};
  EXPECT_TRUE(copy.check_integrity());
  bench.remove(first);
  bench.step();
  EXPECT_EQ(bench.scheduler().waiting(), 0U);
  EXPECT_TRUE(copy.check_integrity());
  EXPECT_EQ(copy.running(), 2U);
  EXPECT_EQ(copy.waiting(), 1U);
  EXPECT_EQ(copy.remove(first), (Slot{0, 0}));
  EXPECT_EQ(copy.schedule(bench.model().restorable()).admissions.size(), 1U);
  EXPECT_TRUE(copy.check_integrity());
}

TEST(BatchScheduler, RefusesWhatCanNeverRunOrFindsTheQueueFull) {
  auto options = small_and_large(1, 1);
  options.waiting_max = 2;
  BatchScheduler scheduler{options};
  const auto spec = [](std::uint64_t id, std::uint32_t prompt, std::uint32_t tokens_max) {
    return SequenceSpec{.id = SequenceId{id}, .prompt_tokens = prompt, .tokens_max = tokens_max};
  };
  const auto too_long = scheduler.add(spec(1, 1'024, 2'000));
  ASSERT_FALSE(too_long.has_value());
  EXPECT_EQ(too_long.error().code, ErrorCode::kContextLengthExceeded);
  EXPECT_EQ(too_long.error().what,
            "the prompt has 1024 tokens, with room for output it needs 1025; the largest slot holds 1024");
  EXPECT_TRUE(scheduler.add(spec(1, 1'024, 1'024)).has_value()) << "no output wanted: an embedding";
  EXPECT_EQ(scheduler.add(spec(1, 8, 100)).error().code, ErrorCode::kInternal);
  EXPECT_EQ(scheduler.add(spec(2, 0, 100)).error().code, ErrorCode::kInternal);
  EXPECT_TRUE(scheduler.add(spec(2, 8, 100)).has_value());
  EXPECT_EQ(scheduler.add(spec(3, 8, 100)).error().code, ErrorCode::kOverloaded);
}

TEST(BatchScheduler, RefusesEverythingIfItHasNoSlots) {
  BatchScheduler scheduler{{}};
  EXPECT_EQ(scheduler.add({.id = SequenceId{1}, .prompt_tokens = 1}).error().code, ErrorCode::kContextLengthExceeded);
  EXPECT_TRUE(scheduler.schedule([](SequenceId) { return 0U; }).empty());
}

TEST(BatchScheduler, CountsCellsAndTokens) {
  Bench bench{one_class(2, 100)};
  EXPECT_EQ(bench.scheduler().cells_total(), 200U);
  bench.add({.prompt = 64});
  bench.add({.prompt = 70});
  EXPECT_EQ(bench.scheduler().waiting_tokens(), 134U);
  bench.step();
  EXPECT_EQ(bench.scheduler().cells_used(), 64U);
  EXPECT_EQ(bench.scheduler().waiting_tokens(), 70U) << "the first one decodes, the second waits";
  EXPECT_EQ(bench.scheduler().running(), 1U);
  EXPECT_EQ(bench.scheduler().waiting(), 1U);
}

TEST(BatchScheduler, PromptsLeaveRoomForTheSequencesThatDecode) {
  Bench bench{{.classes = {{4, 512}}, .step_tokens_max = 256, .prefill_chunk_max = 256, .block_tokens = 8}};
  bench.scheduler().limit_prefill(32);
  const SequenceId first = bench.add({.prompt = 200});
  ASSERT_EQ(bench.step().work.at(0).count, 200U) << "nobody decodes yet: no limit";
  const SequenceId second = bench.add({.prompt = 100});
  for (const std::uint32_t count : {32U, 32U, 32U, 4U}) {
    const StepPlan plan = bench.step();
    ASSERT_EQ(plan.work.size(), 2U);
    EXPECT_EQ(plan.work[0].id, first);
    EXPECT_EQ(plan.work[1].id, second);
    EXPECT_EQ(plan.work[1].count, count);
  }
  EXPECT_EQ(bench.scheduler().decoding(), 2U);
}

}  // namespace
}  // namespace llmd::batching
