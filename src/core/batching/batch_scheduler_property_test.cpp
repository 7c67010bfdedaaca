#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "batching/batch_scheduler.h"
#include "batching/naive_batching.h"
#include "batching/slot_model.h"

namespace llmd::batching {
namespace {

std::vector<std::uint64_t> test_seeds() {
  if (const char* seed = std::getenv("LLMD_SEED")) return {std::strtoull(seed, nullptr, 10)};
  std::vector<std::uint64_t> seeds(60);
  for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i] = i + 1;
  return seeds;
}

std::string describe(const StepPlan& plan) {
  std::string text;
  const auto slot = [](Slot s) { return std::to_string(s.slot_class) + "." + std::to_string(s.index) + " "; };
  for (const auto& e : plan.evictions)
    text += (e.moving ? "move " : "evict ") + std::to_string(e.id.value) + "@" + slot(e.slot);
  for (const auto& a : plan.admissions) {
    text += (a.resumed ? "resume " : "admit ") + std::to_string(a.id.value) + "@" + slot(a.slot) + "restoring " +
            std::to_string(a.restore_tokens) + " ";
  }
  for (const auto& w : plan.work) {
    text += (w.sample ? "sample " : "run ") + std::to_string(w.id.value) + "@" + slot(w.slot) +
            std::to_string(w.first) + "+" + std::to_string(w.count) + " ";
  }
  return text;
}

struct Workload {
  BatchingOptions options;
  SlotModel::Faults faults;
  std::int32_t priorities = 1;
};

/// Small numbers, so that full classes, moves and preemptions are the common case.
Workload random_workload(Rng& rng) {
  const auto number = [&](std::uint64_t low, std::uint64_t high) {
    return static_cast<std::uint32_t>(low + rng.below(high - low + 1));
  };
  Workload load;
  const std::uint32_t classes = number(1, 3);
  for (std::uint32_t k = 0; k < classes; ++k) {
    load.options.classes.push_back({.slots = number(1, 4), .tokens_max = number(16, 32) << (2 * k)});
  }
  load.options.step_tokens_max = number(1, 40);
  load.options.prefill_chunk_max = number(1, 40);
  load.options.waiting_max = 30;
  load.options.block_tokens = number(1, 8);
  load.options.growth_reserve = rng.chance(0.5) ? 0.0F : static_cast<float>(rng.uniform());
  load.priorities = static_cast<std::int32_t>(number(1, 3));
  if (rng.chance(0.5)) load.faults = {.batch_fails = 0.05, .store_forgets = 0.05};
  return load;
}

struct Offer {
  SequenceSpec spec;
  std::uint32_t output = 0;
  std::vector<SlotModel::Prefix> prefixes;
};

/// None, or one of three families of prompts, and in it none or one of two branches. Every few sequences the families
/// are new ones, which nobody has computed yet.
std::vector<SlotModel::Prefix> random_prefixes(std::uint64_t id, std::uint32_t longest, Rng& rng) {
  std::vector<SlotModel::Prefix> prefixes;
  const auto family = static_cast<std::uint32_t>(rng.below(4)), branch = static_cast<std::uint32_t>(rng.below(3));
  if (family == 0) return prefixes;
  const std::uint64_t name = id / 10 * 100 + 10 * family;
  prefixes.push_back({.name = name, .tokens = longest / 6 * family});
  if (branch > 0) prefixes.push_back({.name = name + branch, .tokens = longest / 6 * family + longest / 8 * branch});
  return prefixes;
}

Offer random_offer(std::uint64_t id, const Workload& load, Rng& rng) {
  const std::uint32_t longest = load.options.classes.back().tokens_max;
  const auto prompt = static_cast<std::uint32_t>(1 + rng.below(rng.chance(0.5) ? 16 : longest - 1));
  const auto output = static_cast<std::uint32_t>(rng.below(longest - prompt + 1));
  return {.spec = {.id = SequenceId{id},
                   .prompt_tokens = prompt,
                   .tokens_max = prompt + output,
                   .priority = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(load.priorities))),
                   .no_restore = rng.chance(0.1)},
          .output = output,
          .prefixes = random_prefixes(id, longest, rng)};
}

SequenceId any_of(const SlotModel& model, Rng& rng) {
  return std::next(model.states().begin(), static_cast<std::ptrdiff_t>(rng.below(model.size())))->first;
}

TEST(BatchSchedulerProperty, AgreesWithTheNaiveRulesOnAnyWorkload) {
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    const Workload load = random_workload(rng);
    BatchScheduler scheduler{load.options};
    NaiveBatching naive{load.options};
    SlotModel model{load.options};
    std::uint64_t next = 1;
    for (int step = 0; step < 800; ++step) {
      while (rng.chance(0.2)) {
        const Offer offer = random_offer(next++, load, rng);
        if (!scheduler.add(offer.spec)) continue;
        model.add(offer.spec, offer.output, offer.prefixes);
        naive.seqs.push_back({.spec = offer.spec, .tokens = offer.spec.prompt_tokens, .since = naive.step});
        if (rng.chance(0.3)) model.store(offer.spec.id, offer.spec.prompt_tokens);
      }
      if (model.size() > 0 && rng.chance(0.03)) {
        const SequenceId gone = any_of(model, rng);
        EXPECT_EQ(scheduler.remove(gone), model.state(gone).slot);
        model.remove(gone);
        std::erase_if(naive.seqs, [&](const auto& s) { return s.spec.id == gone; });
      }
      if (rng.chance(0.1)) {
        naive.prefill_limit = static_cast<std::uint32_t>(rng.below(2 * load.options.step_tokens_max));
        scheduler.limit_prefill(naive.prefill_limit);
      }
      const StepPlan plan = scheduler.schedule(model.restorable(), model.shares());
      ASSERT_EQ(describe(plan), describe(naive.schedule(model.restorable(), model.shares()))) << "step " << step;
      ASSERT_EQ(plan.empty(), model.size() == 0) << "step " << step << ": a step that does nothing";
      const auto outcomes = model.run(plan, load.faults, &rng);
      scheduler.update(outcomes);
      naive.update(outcomes);
      ASSERT_TRUE(scheduler.check_integrity()) << "step " << step;
      ASSERT_EQ(scheduler.running() + scheduler.waiting(), model.size());
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(BatchSchedulerProperty, FinishesAnyFiniteWorkloadComputingAtLeastATokenAStep) {
  std::uint64_t moves_seen = 0, preemptions_seen = 0;
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    Workload load = random_workload(rng);
    load.faults = {};
    BatchScheduler scheduler{load.options};
    SlotModel model{load.options};
    std::uint64_t tokens = 0, steps = 0, moves = 0, next = 1;
    for (; next <= 60 || model.size() > 0; ++steps) {
      while (next <= 60 && scheduler.waiting() < 20 && (model.size() == 0 || rng.chance(0.2))) {
        const Offer offer = random_offer(next++, load, rng);
        ASSERT_TRUE(scheduler.add(offer.spec).has_value());
        model.add(offer.spec, offer.output, offer.prefixes);
        tokens += offer.spec.tokens_max;
      }
      const std::uint64_t before = model.computed_tokens();
      const StepPlan plan = scheduler.schedule(model.restorable(), model.shares());
      for (const Eviction& eviction : plan.evictions) moves += eviction.moving ? 1 : 0;
      scheduler.update(model.run(plan));
      ASSERT_GT(model.computed_tokens(), before) << "step " << steps << " computes nothing";
    }
    // Without faults only what a move or a preemption cut below a block is computed twice; a sequence that may restore
    // nothing of its prompt starts again when preempted, which its protection allows once per preemption.
    std::uint64_t prompt_max = load.options.classes.back().tokens_max;
    EXPECT_LE(model.computed_tokens(),
              tokens + moves * load.options.block_tokens + scheduler.preemptions() * prompt_max);
    EXPECT_EQ(scheduler.running() + scheduler.waiting(), 0U);
    EXPECT_EQ(scheduler.cells_used(), 0U);
    moves_seen += moves;
    preemptions_seen += scheduler.preemptions();
  }
  if (test_seeds().size() > 1) {
    EXPECT_GT(moves_seen, 100U) << "the workloads no longer reach what they are for";
    EXPECT_GT(preemptions_seen, 100U);
  }
}

/// What any scheduler has to compute: each output, each part of a prompt that is its own, and each prefix once; and of
/// each sequence less than a block before its own part, and the last token's block if its prompt is stored whole.
std::uint64_t tokens_to_compute(const std::vector<Offer>& offers, std::uint32_t block_tokens) {
  std::uint64_t tokens = 0;
  std::map<std::uint64_t, std::uint32_t> shared;  // by name, without the prefix that it continues
  for (const Offer& offer : offers) {
    std::uint32_t before = 0;
    for (const SlotModel::Prefix& prefix : offer.prefixes) {
      const std::uint32_t end = std::min(prefix.tokens, offer.spec.prompt_tokens);
      shared[prefix.name] = std::max(shared[prefix.name], end - before);
      before = end;
    }
    tokens += offer.spec.tokens_max - before + block_tokens;
  }
  for (const auto& [name, count] : shared) tokens += count;
  return tokens;
}

TEST(BatchSchedulerProperty, ComputesEachSharedPrefixOnceWhereverItsSequencesArrive) {
  std::uint64_t together = 0, apart = 0;
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    const auto number = [&](std::uint64_t low, std::uint64_t high) {
      return static_cast<std::uint32_t>(low + rng.below(high - low + 1));
    };
    const Workload load{.options = {.classes = {{.slots = number(4, 12), .tokens_max = number(64, 256)}},
                                    .step_tokens_max = number(16, 512),
                                    .prefill_chunk_max = number(16, 512),
                                    .block_tokens = number(1, 8)}};
    const double arrival = rng.chance(0.5) ? 1.0 : 0.1;
    std::vector<Offer> offers;
    for (std::uint64_t id = 1; id <= 40; ++id) {
      offers.push_back(random_offer(id, load, rng));
      offers.back().spec.no_restore = false;
      offers.back().output = std::min(offers.back().output, 4U);
      offers.back().spec.tokens_max = offers.back().spec.prompt_tokens + offers.back().output;
    }
    const auto computed = [&](bool share) {
      BatchScheduler scheduler{load.options};
      SlotModel model{load.options};
      for (std::size_t next = 0; next < offers.size() || model.size() > 0;) {
        while (next < offers.size() && scheduler.waiting() < 20 && (model.size() == 0 || rng.chance(arrival))) {
          EXPECT_TRUE(scheduler.add(offers[next].spec).has_value());
          model.add(offers[next].spec, offers[next].output, offers[next].prefixes);
          ++next;
        }
        scheduler.update(model.run(scheduler.schedule(model.restorable(), share ? model.shares() : SharesBlock{})));
      }
      return model.computed_tokens();
    };
    const std::uint64_t shared = computed(true);
    EXPECT_LE(shared, tokens_to_compute(offers, load.options.block_tokens));
    together += shared;
    apart += computed(false);
  }
  if (test_seeds().size() > 1) {
    EXPECT_GT(apart, together + 1'000) << "the workloads no longer reach what they are for";
  }
}

TEST(BatchSchedulerProperty, FinishesThoughTheStoreKeepsNothing) {
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    Workload load = random_workload(rng);
    BatchScheduler scheduler{load.options};
    SlotModel model{load.options};
    for (std::uint64_t id = 1; id <= 30; ++id) {
      const Offer offer = random_offer(id, load, rng);
      ASSERT_TRUE(scheduler.add(offer.spec).has_value());
      model.add(offer.spec, offer.output, offer.prefixes);
    }
    int steps = 0;
    for (; model.size() > 0 && steps < 100'000; ++steps) {
      const StepPlan plan = scheduler.schedule([](SequenceId) { return 0U; }, model.shares());
      for (const auto& [id, state] : model.states()) model.store(id, 0);
      scheduler.update(model.run(plan, {.store_forgets = 1.0}, &rng));
      ASSERT_TRUE(scheduler.check_integrity());
    }
    EXPECT_EQ(model.size(), 0U) << "after " << steps << " steps";
  }
}

}  // namespace
}  // namespace llmd::batching
