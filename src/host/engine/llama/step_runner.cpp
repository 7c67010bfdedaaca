#include "engine/llama/step_runner.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "telemetry/log.h"

namespace llmd::engine {
namespace {

bool wants_prompt_logprobs(const Sequence& sequence, const batching::Work& work) {
  return sequence.request.prompt_logprobs.has_value() && work.first + 1 < sequence.prompt_tokens();
}

/// One output a piece, with the logprobs of the tokens that it completes.
void add_pieces(Sequence& sequence, std::vector<TextStream::Piece>& pieces, SequenceEvent& event) {
  for (TextStream::Piece& piece : pieces)
    event.tokens.push_back({.text = std::move(piece.text), .logprobs = sequence.logprobs.show(piece.bytes)});
}

void add_logprobs(std::vector<TokenLogprobs>&& logprobs, SequenceEvent& event) {
  if (logprobs.empty()) return;
  if (event.tokens.empty()) event.tokens.emplace_back();
  std::move(logprobs.begin(), logprobs.end(), std::back_inserter(event.tokens.back().logprobs));
}

/// The end: what was held back.
void add_rest(Sequence& sequence, SequenceEvent& event) {
  std::vector<TextStream::Piece> pieces = sequence.text.finish();
  add_pieces(sequence, pieces, event);
}

}  // namespace

StepRunner::Result StepRunner::run(const batching::StepPlan& plan, SequenceTable& sequences, EventBatch& events) {
  Result result;
  for (const batching::Eviction& eviction : plan.evictions) evict(eviction, *sequences.at(eviction.id));
  std::unordered_set<SequenceId> fell_short;
  for (const batching::Admission& admission : plan.admissions) {
    const std::uint32_t restored = admit(admission, *sequences.at(admission.id), result);
    if (restored == admission.restore_tokens) continue;
    result.outcomes.push_back({.id = admission.id, .restored_tokens = restored});
    fell_short.insert(admission.id);
  }
  std::vector<std::vector<Job>> jobs(parts_.contexts->size());
  for (const batching::Work& work : plan.work) {
    if (!fell_short.contains(work.id))
      jobs[work.slot.slot_class].push_back({.work = work, .sequence = sequences.at(work.id).get()});
  }
  for (std::uint32_t i = 0; i < jobs.size(); ++i) {
    if (!jobs[i].empty()) run_class(i, jobs[i], events, result);
  }
  ++counters_.steps;
  return result;
}

void StepRunner::evict(const batching::Eviction& eviction, Sequence& sequence) {
  llamacpp::Context& context = parts_.contexts->at(eviction.slot.slot_class);
  if (parts_.blocks) {
    // The last token of `tokens` is not computed yet.
    parts_.blocks->recheck(sequence);
    const auto computed = static_cast<std::uint32_t>(sequence.tokens.size()) - 1;
    parts_.blocks->save(sequence, context, eviction.slot.index, std::min(computed, sequence.computed));
  }
  context.clear(eviction.slot.index);
  sequence.computed = 0;
}

std::uint32_t StepRunner::admit(const batching::Admission& admission, Sequence& sequence, Result& result) {
  const TimePoint admitted_at = SteadyClock::now();
  std::uint32_t restored = 0;
  if (parts_.blocks && admission.restore_tokens > 0 && parts_.contexts->ensure(admission.slot.slot_class)) {
    restored = parts_.blocks->restore(sequence, parts_.contexts->at(admission.slot.slot_class), admission.slot.index,
                                      admission.restore_tokens);
  }
  sequence.computed = restored;
  if (sequence.admitted) return restored;
  sequence.admitted = true;
  sequence.times.scheduled = admitted_at;
  result.admitted.push_back(sequence.id);
  sequence.usage.cached_tokens = std::min(restored, sequence.prompt_tokens());
  counters_.prefix_queries_tokens += sequence.prompt_tokens();
  counters_.prefix_hits_tokens += sequence.usage.cached_tokens;
  return restored;
}

llamacpp::BatchRow StepRunner::row_of(const Job& job, std::uint32_t position) const {
  return {.token = job.sequence->tokens[position], .position = position, .slot = job.work.slot.index, .output = false};
}

void StepRunner::run_class(std::uint32_t slot_class, std::vector<Job>& jobs, EventBatch& events, Result& result) {
  if (const auto there = parts_.contexts->ensure(slot_class); !there) {
    for (const Job& job : jobs) fail_job(job, there.error(), events, result);
    return;
  }
  // llama.cpp computes slots at once that follow each other in the batch: in any other order it reads the weights
  // again.
  std::ranges::sort(jobs, {}, [](const Job& job) { return job.work.slot.index; });
  rows_.clear();
  std::vector<Job*> batch;
  for (Job& job : jobs) {
    if (wants_prompt_logprobs(*job.sequence, job.work)) continue;
    for (std::uint32_t i = 0; i < job.work.count; ++i) rows_.push_back(row_of(job, job.work.first + i));
    job.output_row = rows_.size() - 1;
    rows_.back().output = job.work.sample;
    batch.push_back(&job);
  }
  if (!batch.empty()) {
    const auto computed = parts_.contexts->at(slot_class).decode(rows_);
    for (Job* job : batch) {
      if (computed) {
        complete(*job, events, result);
      } else {
        fail_job(*job, computed.error(), events, result);
      }
    }
  }
  for (Job& job : jobs) {
    if (wants_prompt_logprobs(*job.sequence, job.work)) run_with_prompt_logprobs(slot_class, job, events, result);
  }
}

/// Every row of the prompt gives logits, so its work is done in pieces that the output buffer holds.
void StepRunner::run_with_prompt_logprobs(std::uint32_t slot_class, Job& job, EventBatch& events, Result& result) {
  for (std::uint32_t done = 0; done < job.work.count; done += parts_.outputs_max) {
    const std::uint32_t count = std::min(parts_.outputs_max, job.work.count - done);
    rows_.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      rows_.push_back(row_of(job, job.work.first + done + i));
      rows_.back().output = true;
    }
    const auto computed = parts_.contexts->at(slot_class).decode(rows_);
    if (!computed) return fail_job(job, computed.error(), events, result);
    keep_prompt_logprobs(job, job.work.first + done, count);
    job.output_row = count - 1;
  }
  complete(job, events, result);
}

/// Row i tells of token i + 1.
void StepRunner::keep_prompt_logprobs(const Job& job, std::uint32_t first, std::uint32_t count) {
  Sequence& sequence = *job.sequence;
  sequence.prompt_logprobs.resize(sequence.prompt_tokens());
  for (std::uint32_t i = 0; i < count && first + i + 1 < sequence.prompt_tokens(); ++i) {
    const std::span<const float> logits = parts_.contexts->at(job.work.slot.slot_class).logits(i);
    if (logits.empty()) continue;
    const TokenId token = sequence.tokens[first + i + 1];
    sequence.prompt_logprobs[first + i + 1] =
        named(token, chances_of(logits, token, *sequence.request.prompt_logprobs));
  }
}

void StepRunner::complete(const Job& job, EventBatch& events, Result& result) {
  Sequence& sequence = *job.sequence;
  sequence.computed = job.work.first + job.work.count;
  const std::uint32_t prompt_left = sequence.prompt_tokens() - std::min(sequence.prompt_tokens(), job.work.first);
  counters_.prompt_tokens += std::min(job.work.count, prompt_left);
  if (parts_.blocks)
    parts_.blocks->save(sequence, parts_.contexts->at(job.work.slot.slot_class), job.work.slot.index,
                        sequence.computed);
  if (!job.work.sample) {
    result.outcomes.push_back({.id = sequence.id, .computed = job.work.count});
    return;
  }
  auto event = sample(job);
  if (!event) return fail_job(job, event.error(), events, result);
  const bool finished = event->finish.has_value();
  result.outcomes.push_back({.id = sequence.id, .computed = job.work.count, .appended = 1, .finished = finished});
  if (finished) {
    clear(job.work.slot);
    result.finished.push_back(sequence.id);
  }
  events.add(sequence.sink, std::move(*event));
}

Result<SequenceEvent> StepRunner::sample(const Job& job) {
  Sequence& sequence = *job.sequence;
  LLMD_TRY(const Sampler::Choice choice,
           sequence.sampler->next(parts_.contexts->at(job.work.slot.slot_class).logits(job.output_row), scratch_));
  SequenceEvent event{.sequence = sequence.id};
  if (choice.token) {
    ++sequence.usage.completion_tokens;
    ++counters_.generation_tokens;
    sequence.tokens.push_back(*choice.token);
    sequence.token_came(SteadyClock::now());
    add_output(sequence, choice, event);
  } else {
    event.finish = FinishReason::kStop;  // the grammar is complete and allows nothing more
    add_rest(sequence, event);
  }
  if (!sequence.prompt_logprobs_sent) {
    event.prompt_logprobs = std::move(sequence.prompt_logprobs);
    sequence.prompt_logprobs_sent = true;
  }
  event.usage = sequence.usage;
  if (event.finish) event.times = sequence.times;
  return event;
}

/// The token as text, after what was held back; sets why the sequence ends, if it does.
void StepRunner::add_output(Sequence& sequence, const Sampler::Choice& choice, SequenceEvent& event) {
  const TokenId token = *choice.token;
  if (sequence.sampler->ends_generation(token)) {
    event.finish = FinishReason::kStop;
    add_rest(sequence, event);
  } else {
    const auto& preserved = sequence.request.sampling.grammar.preserved_tokens;
    const bool special = std::find(preserved.begin(), preserved.end(), token) != preserved.end();
    const std::string piece = vocab_.piece(token, special);
    if (choice.logprob && !piece.empty())
      sequence.logprobs.add(named(token, {.logprob = *choice.logprob, .top = choice.top}));
    TextStream::Shown shown = sequence.text.add(piece);
    add_pieces(sequence, shown.pieces, event);
    if (shown.stop) {
      event.finish = FinishReason::kStop;
      event.stop_string = sequence.text.stops()[*shown.stop];
      add_logprobs(sequence.logprobs.cut(0), event);
    } else if (sequence.tokens.size() >= sequence.tokens_max) {
      event.finish = FinishReason::kLength;
      add_rest(sequence, event);
    }
  }
  if (event.tokens.empty()) event.tokens.emplace_back();
  event.tokens.back().token = token;
}

TokenLogprobs StepRunner::named(TokenId token, const TokenChances& chances) const {
  TokenLogprobs all{.chosen = named({token, chances.logprob}), .top = {}};
  for (const Logprob& logprob : chances.top) all.top.push_back(named(logprob));
  return all;
}

TokenLogprob StepRunner::named(const Logprob& logprob) const {
  return {.token = logprob.first, .text = vocab_.piece(logprob.first, /*special=*/true), .logprob = logprob.second};
}

void StepRunner::fail_job(const Job& job, const Error& error, EventBatch& events, Result& result) {
  clear(job.work.slot);
  log::write(log::Level::kError, job.sequence->request.request_id, error.to_string());
  result.outcomes.push_back({.id = job.sequence->id, .finished = true});
  result.finished.push_back(job.sequence->id);
  events.add(job.sequence->sink, {.sequence = job.sequence->id,
                                  .finish = FinishReason::kError,
                                  .error = error,
                                  .usage = job.sequence->usage,
                                  .times = job.sequence->times});
}

}  // namespace llmd::engine
