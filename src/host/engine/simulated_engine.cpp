#include "engine/simulated_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "model/context_limit.h"
#include "model/prefix_key.h"
#include "simulation/to_duration.h"
#include "telemetry/log.h"

namespace llmd {
namespace {

using simulation::EngineEvent;
using simulation::HardwareProfile;

/// Answers of equal prompts are equal, and so are the names of simulated blocks in all processes.
Digest256 simulated_fingerprint(std::uint32_t block_tokens) {
  Sha256 hash;
  hash.update(fmt::format("llmd-simulated-1 {}", block_tokens));
  return hash.finish();
}

EngineInfo info_of(const SimulatedEngineOptions& options) {
  const HardwareProfile& profile = options.profile;
  const auto bytes_of = [&](double tokens) { return static_cast<std::uint64_t>(tokens * profile.kv_bytes_per_token); };
  EngineInfo info;
  info.model_name = options.model_name;
  info.block_tokens = profile.batching.block_tokens;
  info.model_fingerprint = simulated_fingerprint(info.block_tokens);
  info.context_tokens = profile.batching.classes.back().tokens_max;
  info.block_bytes = bytes_of(info.block_tokens);
  info.llama_steps = profile.llama_steps;
  info.slots = profile.batching.classes;
  double cells = 0;
  for (const batching::SlotClass& each : profile.batching.classes) {
    info.sequences_max += each.slots;
    cells += static_cast<double>(each.slots) * each.tokens_max;
  }
  info.kv_bytes = bytes_of(cells);
  info.store_bytes_max = bytes_of(static_cast<double>(profile.store_tokens));
  return info;
}

constexpr std::uint64_t kReceived = UINT64_MAX;  // instead of a request: its blocks come from another engine

std::uint64_t seed_of(const SequenceRequest& request) {
  const std::uint64_t seed = xxh64(request.cache_salt, request.sampling.seed.value_or(0));
  return xxh64(std::as_bytes(std::span{request.prompt}), seed);
}

}  // namespace

SimulatedEngine::SimulatedEngine(Loop& loop, SimulatedEngineOptions options)
    : options_{std::move(options)},
      host_delay_{simulation::to_duration(options_.profile.submit_s + options_.profile.stream_s)},
      info_{info_of(options_)},
      model_{options_.profile, info_.block_tokens, /*records_blocks=*/options_.kv_events != nullptr},
      timer_{loop.context()} {
  model_.tell_tokens();
}

EngineLoad SimulatedEngine::load() const {
  const simulation::EngineLoadView view = model_.load();
  const simulation::EngineTotals totals = model_.totals();
  EngineLoad load;
  load.running = view.running;
  load.waiting = view.waiting + static_cast<std::uint32_t>(arrivals_.size());
  load.waiting_tokens = static_cast<std::uint32_t>(std::min<std::uint64_t>(totals.waiting_tokens, UINT32_MAX));
  load.decode_tokens_left = totals.decode_tokens_left;
  load.kv_usage = view.kv_usage;
  load.prefix_queries_tokens = view.prefix_query_tokens;
  load.prefix_hits_tokens = view.prefix_hit_tokens;
  load.preemptions = totals.preemptions;
  load.prompt_tokens = totals.prompt_tokens;
  load.generation_tokens = totals.generation_tokens;
  load.steps = totals.steps;
  load.store_blocks = totals.store_blocks;
  load.store_bytes = totals.store_blocks * info_.block_bytes;
  load.store_evictions = totals.store_evictions;
  return load;
}

Result<void> SimulatedEngine::check(const SequenceRequest& request) const {
  if (closing_) return fail(ErrorCode::kShuttingDown, "the engine shuts down");
  if (request.prompt.empty())
    return fail(ErrorCode::kInvalidRequest, "the prompt holds no tokens", "give at least one token");
  if (request.embed) return fail(ErrorCode::kUnsupported, "a simulated engine gives no embeddings");
  if (request.prompt_logprobs || request.sampling.top_logprobs)
    return fail(ErrorCode::kUnsupported, "a simulated engine has no logprobs", "leave logprobs out");
  if (!request.sampling.grammar.gbnf.empty()) {
    return fail(ErrorCode::kUnsupported, "a simulated engine cannot be made to answer in a given form",
                "leave out response_format and grammars");
  }
  LLMD_TRY_VOID(check_context({.prompt_tokens = request.prompt.size(), .output_tokens_max = request.max_tokens},
                              info_.context_tokens));
  if (arrivals_.size() + model_.load().waiting >= options_.profile.batching.waiting_max) {
    return fail(ErrorCode::kOverloaded, "the engine's queue is full",
                "try again later, or raise waiting_max in the profile");
  }
  return {};
}

std::unique_ptr<SimulatedEngine::Sequence> SimulatedEngine::prepare(SequenceId id, SequenceRequest&& request,
                                                                    std::shared_ptr<SequenceSink>&& sink) const {
  const auto prompt = static_cast<std::uint32_t>(request.prompt.size());
  const std::uint32_t room = info_.context_tokens - prompt;
  Sequence::Plan plan{.seed = seed_of(request), .answer_tokens = room, .ends_there = FinishReason::kLength};
  if (request.max_tokens > 0) {
    plan.answer_tokens = std::min(room, request.max_tokens);
  } else if (!request.sampling.ignore_eos && std::max(options_.output_tokens, request.sampling.min_tokens) < room) {
    plan.answer_tokens = std::max(options_.output_tokens, request.sampling.min_tokens);
    plan.ends_there = FinishReason::kStop;
  }
  auto sequence = std::make_unique<Sequence>(id, request, std::move(sink), *options_.words, plan);
  std::vector<TokenId> tokens = std::move(request.prompt);
  for (std::uint32_t i = 0; i < sequence->answer_tokens(); ++i) tokens.push_back(sequence->answer_token(i));
  const auto blocks = static_cast<std::uint32_t>(tokens.size() / info_.block_tokens);
  sequence->request = {
      .id = id.value,
      .prompt_tokens = prompt,
      .output_tokens = sequence->answer_tokens(),
      .blocks = make_block_key(scope(request.cache_salt), tokens, info_.block_tokens, std::max(1U, blocks)).hashes,
      .priority = request.priority};
  if (options_.kv_events) {
    sequence->tokens = std::move(tokens);
    sequence->cache_salt = std::move(request.cache_salt);
  }
  return sequence;
}

Result<SequenceId> SimulatedEngine::submit(SequenceRequest request, std::shared_ptr<SequenceSink> sink) {
  LLMD_TRY_VOID(check(request));
  const SequenceId id{next_id_++};
  std::unique_ptr<Sequence> sequence = prepare(id, std::move(request), std::move(sink));
  sequence->times.queued = SteadyClock::now();
  arrivals_.push_back({.ready = sequence->times.queued + host_delay_, .id = id});
  sequences_.emplace(id, std::move(sequence));
  if (!stepping_ && arrivals_.size() == 1) arm();
  return id;
}

void SimulatedEngine::cancel(SequenceId id) {
  if (!sequences_.contains(id)) return;
  if (stepping_) {
    cancelled_.push_back(id);
    return;
  }
  model_.cancel(id.value);
  end(*sequences_.at(id), FinishReason::kCancelled);
  events_.deliver();
}

/// The timer fires when the step under way ends, or the next request is there.
void SimulatedEngine::arm() {
  if (closing_ || (!stepping_ && arrivals_.empty())) return;
  timer_.expires_at(stepping_ ? clock_ : arrivals_.front().ready);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) advance(SteadyClock::now());
  });
}

void SimulatedEngine::advance(TimePoint now) {
  if (closing_) return;
  clock_ = std::max(clock_, now - kLatenessMax);
  while (true) {
    if (stepping_) {
      if (clock_ > now) break;
      end_step();
    }
    if (!model_.busy()) {
      if (arrivals_.empty() || arrivals_.front().ready > now) break;
      clock_ = std::max(clock_, arrivals_.front().ready);
    }
    join_arrivals();
    if (model_.busy()) begin_step();
  }
  arm();
}

void SimulatedEngine::join_arrivals() {
  while (!arrivals_.empty() && arrivals_.front().ready <= clock_) {
    const SequenceId id = arrivals_.front().id;
    arrivals_.pop_front();
    const auto found = sequences_.find(id);  // else it was cancelled meanwhile
    if (found == sequences_.end()) continue;
    const simulation::SimRequest& request = found->second->request;
    if (model_.submit(request, request.output_tokens)) continue;
    end(*found->second, FinishReason::kError,
        Error{.code = ErrorCode::kOverloaded, .what = "the engine's queue is full", .hint = "try again later"});
  }
  events_.deliver();
}

void SimulatedEngine::begin_step() {
  step_began_ = clock_;
  const auto took = static_cast<double>(model_.begin_step().count()) * slowness_;
  clock_ += Duration{std::llround(took)};
  stepping_ = true;
}

void SimulatedEngine::end_step() {
  stepping_ = false;
  const simulation::EngineTotals before = model_.totals();
  const std::vector<EngineEvent>& events = model_.end_step(clock_ - step_began_);
  tell_blocks();  // while those that end now are still known
  for (const EngineEvent& event : events) tell(event);
  const simulation::EngineTotals after = model_.totals();
  for (const SequenceId id : std::exchange(cancelled_, {})) {
    const auto found = sequences_.find(id);
    if (found == sequences_.end()) continue;  // it finished in this very step
    model_.cancel(id.value);
    end(*found->second, FinishReason::kCancelled);
  }
  if (step_sink_) {
    step_sink_->on_step(
        {.prompt_tokens = static_cast<std::uint32_t>(after.prompt_tokens - before.prompt_tokens),
         .generated_tokens = static_cast<std::uint32_t>(after.generation_tokens - before.generation_tokens)});
  }
  events_.deliver();
}

void SimulatedEngine::tell(const EngineEvent& event) {
  const auto found = sequences_.find(SequenceId{event.request});
  Sequence& sequence = *found->second;
  if (event.admitted) {
    sequence.times.scheduled = step_began_;
    sequence.usage.cached_tokens = event.cached_tokens;
    return;
  }
  events_.add(sequence.sink, sequence.next(clock_));
  if (event.finished) sequences_.erase(found);
}

void SimulatedEngine::tell_blocks(const engine::BlockSource& received) {
  if (!options_.kv_events) return;
  const auto source_of = [&](std::uint64_t request) -> std::optional<engine::BlockSource> {
    if (request == kReceived) return received;
    const auto found = sequences_.find(SequenceId{request});
    if (found == sequences_.end()) return std::nullopt;
    const Sequence& sequence = *found->second;
    return engine::BlockSource{sequence.request.blocks, sequence.tokens, sequence.cache_salt};
  };
  std::vector<KvEvent> events = engine::block_events(model_.take_block_changes(), info_.block_tokens, source_of);
  if (!events.empty()) options_.kv_events->on_kv_events(std::move(events));
}

void SimulatedEngine::end(Sequence& sequence, FinishReason reason, std::optional<Error> error) {
  if (error) log::write(log::Level::kWarn, sequence.request_id, error->to_string());
  events_.add(sequence.sink, {.sequence = sequence.id,
                              .finish = reason,
                              .error = std::move(error),
                              .usage = sequence.usage,
                              .times = sequence.times});
  sequences_.erase(sequence.id);
}

Result<void> SimulatedEngine::import_blocks(std::vector<BlockData> /*blocks*/) {
  return fail(ErrorCode::kUnsupported, "a simulated engine takes no blocks");
}

std::vector<BlockId> SimulatedEngine::block_ids(const std::vector<TokenId>& prompt,
                                                const std::string& cache_salt) const {
  return block_chain(scope(cache_salt), prompt, info_.block_tokens);
}

std::size_t SimulatedEngine::held_blocks(std::span<const BlockId> chain) const {
  simulation::SimRequest request;
  for (const BlockId& id : chain) std::memcpy(&request.blocks.emplace_back(), id.bytes.data(), sizeof(std::uint64_t));
  return model_.held_tokens(request) / info_.block_tokens;
}

void SimulatedEngine::receive_blocks(std::span<const TokenId> prompt, const std::string& cache_salt,
                                     std::size_t blocks) {
  if (blocks == 0) return;
  const simulation::SimRequest request{
      .id = kReceived,
      .blocks =
          make_block_key(scope(cache_salt), prompt, info_.block_tokens, static_cast<std::uint32_t>(blocks)).hashes};
  model_.import_blocks(request, static_cast<std::uint32_t>(blocks * info_.block_tokens));
  tell_blocks({request.blocks, prompt, cache_salt});
}

void SimulatedEngine::clear_blocks() {
  model_.clear_blocks();
  if (options_.kv_events) options_.kv_events->on_kv_events({BlocksCleared{}});
}

void SimulatedEngine::shut_down(std::chrono::milliseconds /*deadline*/) {
  closing_ = true;
  timer_.cancel();
  arrivals_.clear();
  while (!sequences_.empty()) end(*sequences_.begin()->second, FinishReason::kCancelled);
  events_.deliver();
}

}  // namespace llmd
