#include "simulation/engine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "simulation/to_duration.h"

namespace llmd::simulation {
namespace {

using batching::StepOutcome;
using batching::Work;

constexpr double kStepSecondsMax = 100'000;  // a day; whatever the profile says, the sum of many fits a TimePoint

batching::BatchingOptions batching_of(const HardwareProfile& profile, std::uint32_t block_tokens) {
  batching::BatchingOptions options = profile.batching;
  options.block_tokens = block_tokens;
  return options;
}

BlockId block_id(std::uint64_t name) noexcept {
  BlockId id;
  std::memcpy(id.bytes.data(), &name, sizeof name);
  return id;
}

}  // namespace

SimEngine::SimEngine(const HardwareProfile& profile, std::uint32_t block_tokens, bool records_blocks)
    : profile_{profile},
      block_tokens_{block_tokens},
      records_blocks_{records_blocks},
      scheduler_{batching_of(profile, block_tokens)},
      store_{std::max<std::size_t>(1, profile.store_tokens / block_tokens)} {
  for (const batching::SlotClass& each : profile.batching.classes) by_slot_.emplace_back(each.slots, nullptr);
}

SimEngine::SimEngine(const SimEngine& other)
    : profile_{other.profile_},
      block_tokens_{other.block_tokens_},
      records_blocks_{other.records_blocks_},
      tells_tokens_{other.tells_tokens_},
      scheduler_{other.scheduler_},
      step_budget_{other.step_budget_},
      store_{other.store_},
      sequences_{other.sequences_},
      by_slot_{other.by_slot_},
      plan_{other.plan_},
      plan_s_{other.plan_s_},
      outcomes_{other.outcomes_},
      events_{other.events_},
      changes_{other.changes_},
      query_tokens_{other.query_tokens_},
      hit_tokens_{other.hit_tokens_},
      prompt_tokens_{other.prompt_tokens_},
      generation_tokens_{other.generation_tokens_},
      steps_{other.steps_},
      store_evictions_{other.store_evictions_} {
  for (auto& slots : by_slot_) {
    for (Sequence*& owner : slots) owner = owner == nullptr ? nullptr : &sequences_.at(owner->request->id);
  }
}

bool SimEngine::submit(const SimRequest& request, std::uint32_t output_tokens) {
  const std::uint32_t prompt = std::max(1U, request.prompt_tokens);
  const auto added = scheduler_.add({.id = sequence_id(request.id),
                                     .prompt_tokens = prompt,
                                     .tokens_max = prompt + output_tokens,
                                     .priority = request.priority});
  if (!added) return false;
  sequences_.emplace(request.id, Sequence{.request = &request,
                                          .output_tokens = output_tokens,
                                          .tokens = prompt,
                                          .prompt_tokens = request.prompt_tokens,
                                          .blocks = static_cast<std::uint32_t>(request.blocks.size())});
  return true;
}

void SimEngine::cancel(std::uint64_t request) {
  const auto found = sequences_.find(request);
  if (found == sequences_.end()) return;
  if (const auto slot = scheduler_.remove(sequence_id(request))) at(*slot) = nullptr;
  sequences_.erase(found);
}

void SimEngine::import_blocks(const SimRequest& request, std::uint32_t tokens) {
  const std::size_t blocks = std::min<std::size_t>(request.blocks.size(), tokens / block_tokens_);
  for (std::uint32_t i = 0; i < blocks; ++i) {
    if (!store_block(request, i)) return;
  }
}

/// False if its beginning was evicted meanwhile: it could not be matched.
bool SimEngine::store_block(const SimRequest& request, std::uint32_t index) {
  const BlockId id = block_id(request.blocks[index]);
  const auto parent = index == 0 ? std::nullopt : store_.find(block_id(request.blocks[index - 1]));
  if (index > 0 && !parent) return false;
  if (const auto held = store_.find(id)) {
    store_.touch(*held);
    return true;
  }
  if (parent) store_.pin(*parent);  // it must not make room for its own child
  while (!store_.fits(1)) {
    const auto victim = store_.evict();
    if (!victim) break;
    std::uint64_t gone = 0;
    std::memcpy(&gone, victim->id.bytes.data(), sizeof gone);
    ++store_evictions_;
    note({.block = gone});
  }
  if (parent) store_.unpin(*parent);
  if (!store_.fits(1)) return true;
  store_.insert(id, parent, 1);
  note({.block = request.blocks[index], .stored = true, .index = index, .request = request.id});
  return true;
}

void SimEngine::store_computed(Sequence& sequence) {
  const SimRequest& request = *sequence.request;
  const std::uint32_t whole = sequence.computed / block_tokens_;
  while (sequence.stored < whole && sequence.stored < request.blocks.size()) {
    if (!store_block(request, sequence.stored)) return;
    ++sequence.stored;
  }
}

std::uint32_t SimEngine::restorable_blocks(const SimRequest& request) const {
  // What is held has its parents held, so the longest held beginning is found by halving. Mostly there is none.
  if (request.blocks.empty() || !store_.find(block_id(request.blocks.front()))) return 0;
  const auto end = std::partition_point(request.blocks.begin(), request.blocks.end(),
                                        [this](std::uint64_t name) { return store_.find(block_id(name)).has_value(); });
  return static_cast<std::uint32_t>(end - request.blocks.begin());
}

Duration SimEngine::begin_step() {
  const auto restorable = [this](SequenceId id) {
    const Sequence& sequence = sequences_.at(id.value);
    const std::uint32_t whole = sequence.tokens / block_tokens_;
    return std::min(whole, restorable_blocks(*sequence.request)) * block_tokens_;
  };
  const auto shares = [this](SequenceId a, SequenceId b, std::uint32_t first) {
    const std::vector<std::uint64_t>& ones = sequences_.at(a.value).request->blocks;
    const std::vector<std::uint64_t>& others = sequences_.at(b.value).request->blocks;
    const std::size_t block = first / block_tokens_;
    return block < ones.size() && block < others.size() && ones[block] == others[block];
  };
  if (profile_.llama_steps)
    scheduler_.limit_prefill(step_budget_.prefill_tokens(scheduler_.decoding(), scheduler_.waiting_tokens()));
  plan_ = scheduler_.schedule(restorable, shares);
  double seconds = 0;
  for (const batching::Eviction& eviction : plan_.evictions) {
    Sequence*& sequence = at(eviction.slot);
    sequence->slot.reset();
    sequence->computed = 0;
    sequence = nullptr;
  }
  for (const batching::Admission& admission : plan_.admissions) {
    Sequence& sequence = sequences_.at(admission.id.value);
    sequence.slot = admission.slot;
    at(admission.slot) = &sequence;
    seconds += admission.restore_tokens * profile_.restore_token_s;
  }
  seconds += work_seconds();
  plan_s_ = std::min(seconds, kStepSecondsMax);
  return to_duration(plan_s_);
}

double SimEngine::work_seconds() {
  double seconds = 0;
  double decode_kilotokens = 0;
  for (const Work& work : plan_.work) {
    const double kilotokens = (work.first + work.count * 0.5) / 1'000;
    if (is_decode(work)) {
      seconds += profile_.decode_sequence_s;
      decode_kilotokens += kilotokens;
    } else {
      seconds += work.count * (profile_.prefill_token_s + profile_.prefill_token_per_kilotoken_s * kilotokens);
    }
  }
  LlamaBatches batches{.weight_reads = 1, .decode_kilotokens = decode_kilotokens};
  if (profile_.llama_steps) batches = llama_batches_of_plan();
  return seconds + profile_.step_s * std::max(1U, batches.weight_reads) +
         profile_.decode_sequence_per_kilotoken_s * batches.decode_kilotokens;
}

LlamaBatches SimEngine::llama_batches_of_plan() {
  const double hiding = profile_.step_s / std::max(profile_.prefill_token_s, 1e-9);
  LlamaBatches sum;
  for (std::uint32_t of_class = 0; of_class < by_slot_.size(); ++of_class) {
    rows_.clear();
    for (const Work& work : plan_.work) {
      if (work.slot.slot_class != of_class) continue;
      rows_.push_back({.slot = work.slot.index, .rows = work.count, .first = work.first, .decodes = is_decode(work)});
    }
    std::ranges::sort(rows_, {}, &SlotRows::slot);
    const LlamaBatches batches = llama_batches(rows_, profile_.batching.prefill_chunk_max, hiding);
    sum.weight_reads += batches.weight_reads;
    sum.decode_kilotokens += batches.decode_kilotokens;
  }
  return sum;
}

void SimEngine::learn_step(double seconds) {
  std::uint32_t decodes = 0;
  std::uint32_t prefills = 0;
  for (const Work& work : plan_.work) {
    (work.first >= at(work.slot)->prompt_tokens ? decodes : prefills) += work.count;
  }
  step_budget_.observe(decodes, prefills, seconds * 1'000);
}

const std::vector<EngineEvent>& SimEngine::end_step(std::optional<Duration> took) {
  if (profile_.llama_steps) learn_step(took ? to_seconds(*took) : plan_s_);
  events_.clear();
  outcomes_.clear();
  for (const batching::Admission& admission : plan_.admissions) {
    Sequence& sequence = *at(admission.slot);
    sequence.computed = admission.restore_tokens;
    const std::uint32_t blocks = admission.restore_tokens / block_tokens_;
    sequence.stored = blocks;  // more may have been stored before a preemption, and evicted since
    if (blocks > 0) {
      if (const auto deepest = store_.find(block_id(sequence.request->blocks[blocks - 1]))) store_.touch(*deepest);
    }
    if (std::exchange(sequence.admitted, true)) continue;
    sequence.cached_tokens = std::min(admission.restore_tokens, sequence.request->prompt_tokens);
    query_tokens_ += sequence.request->prompt_tokens;
    hit_tokens_ += sequence.cached_tokens;
    if (tells_tokens_) {
      events_.push_back({.request = admission.id.value, .cached_tokens = sequence.cached_tokens, .admitted = true});
    }
  }
  // The other endpoints' steps have pushed them out of the caches.
  for (const Work& work : plan_.work) __builtin_prefetch(at(work.slot));
  for (const Work& work : plan_.work) {
    Sequence& sequence = *at(work.slot);
    const std::uint32_t prompt = std::max(1U, sequence.prompt_tokens);
    prompt_tokens_ += std::min(work.count, prompt - std::min(prompt, work.first));
    sequence.computed = work.first + work.count;
    if (sequence.stored < sequence.blocks) store_computed(sequence);
    StepOutcome outcome{.id = work.id, .computed = work.count, .restored_tokens = std::nullopt, .slot = work.slot};
    if (work.sample) {
      outcome.appended = 1;
      ++sequence.tokens;
      ++generation_tokens_;
      const std::uint32_t made = sequence.tokens - prompt;
      outcome.finished = made >= sequence.output_tokens;
      if (tells_tokens_ || made == 1 || outcome.finished) {
        events_.push_back({.request = work.id.value,
                           .cached_tokens = sequence.cached_tokens,
                           .first_token = made == 1,
                           .finished = outcome.finished,
                           .token = true});
      }
    }
    outcomes_.push_back(outcome);
  }
  scheduler_.update(outcomes_);
  ++steps_;
  for (const EngineEvent& event : events_) {
    if (!event.finished) continue;
    const auto found = sequences_.find(event.request);
    at(*found->second.slot) = nullptr;
    sequences_.erase(found);
  }
  return events_;
}

EngineLoadView SimEngine::load() const {
  const std::uint64_t cells = scheduler_.cells_total();
  return {.running = scheduler_.running(),
          .waiting = scheduler_.waiting(),
          .kv_usage = cells == 0 ? 0.0F : static_cast<float>(scheduler_.cells_used()) / static_cast<float>(cells),
          .prefix_query_tokens = query_tokens_,
          .prefix_hit_tokens = hit_tokens_};
}

EngineTotals SimEngine::totals() const {
  return {.waiting_tokens = scheduler_.waiting_tokens(),
          .decode_tokens_left = scheduler_.decode_tokens_left(),
          .preemptions = scheduler_.preemptions(),
          .prompt_tokens = prompt_tokens_,
          .generation_tokens = generation_tokens_,
          .steps = steps_,
          .store_blocks = store_.size(),
          .store_evictions = store_evictions_};
}

std::vector<BlockChange> SimEngine::take_block_changes() { return std::exchange(changes_, {}); }

void SimEngine::clear_blocks() {
  store_ = kvpolicy::BlockLru{std::max<std::size_t>(1, profile_.store_tokens / block_tokens_)};
}

void SimEngine::restart() {
  scheduler_ = batching::BatchScheduler{batching_of(profile_, block_tokens_)};
  clear_blocks();
  step_budget_ = batching::StepBudget{{}};
  sequences_.clear();
  for (auto& slots : by_slot_) std::ranges::fill(slots, nullptr);
  plan_ = {};
  changes_.clear();
}

}  // namespace llmd::simulation
