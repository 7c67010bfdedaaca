#include "simulation/policies/llmd_policy.h"

#include <algorithm>
#include <span>
#include <utility>

namespace llmd::simulation {
namespace {

std::shared_ptr<const Endpoint> endpoint_at(const EndpointSnapshot& snapshot, std::uint32_t place) {
  return place < snapshot.endpoints.size() ? snapshot.endpoints[place].endpoint : nullptr;
}

}  // namespace

Result<std::unique_ptr<LlmdPolicy>> LlmdPolicy::make(scheduling::SchedulingConfig config, Options options) {
  auto scheduler = scheduling::Scheduler::make(std::move(config));
  if (!scheduler) return std::unexpected(std::move(scheduler.error()));
  return std::unique_ptr<LlmdPolicy>{new LlmdPolicy{*std::move(scheduler), options}};
}

LlmdPolicy::LlmdPolicy(scheduling::Scheduler scheduler, Options options)
    : scheduler_{std::move(scheduler)},
      memory_{scheduler_.make_memory(nullptr, options.seed)},
      index_budget_{"prefix_index", options.index_bytes},
      index_{{.endpoint_blocks_max = scheduler_.prefix_options().endpoint_blocks_max,
              .endpoints_max = options.index_endpoints_max,
              .seed = options.seed},
             index_budget_},
      precise_{options.precise} {}

PolicyChoice LlmdPolicy::choose(const PolicyInput& input) {
  places_.update(input.snapshot);
  if (precise_) {
    matched_.assign(input.snapshot.endpoints.size(), 0);
    holders_.depths(input.request.prefix.hashes, matched_);
  }
  decision_ = scheduler_.decide({.request = input.request,
                                 .snapshot = input.snapshot,
                                 .index = index_,
                                 .now = input.now,
                                 .live = input.live,
                                 .memory = &memory_,
                                 .matched_blocks = matched_},
                                input.rng, scratch_, nullptr);
  decided_for_ = input.id;
  if (decision_.outcome != Decision::Outcome::kDispatch) return {};
  return {.decode = places_.find(decision_.decode.get()),
          .prefill = places_.find(decision_.prefill.get()),
          .cached_tokens = decision_.cached_tokens_expected,
          .expected = pd::expected_legs(decision_, input.request, {})};
}

std::uint32_t LlmdPolicy::cached_tokens(const PolicyInput& input) {
  std::span<const std::uint32_t> blocks;
  if (precise_) {
    matched_.assign(input.snapshot.endpoints.size(), 0);
    holders_.depths(input.request.prefix.hashes, matched_);
    blocks = matched_;
  } else {
    index_.match(input.request.prefix, input.snapshot.endpoints, match_);
    blocks = match_.blocks;
  }
  return blocks.empty() ? 0 : *std::ranges::max_element(blocks) * input.request.prefix.block_tokens;
}

bool LlmdPolicy::decided(const PolicyInput& input, const PolicyChoice& choice) const noexcept {
  return decision_.outcome == Decision::Outcome::kDispatch && decided_for_ == input.id &&
         places_.find(decision_.decode.get()) == choice.decode &&
         places_.find(decision_.prefill.get()) == choice.prefill;
}

void LlmdPolicy::sent(const PolicyInput& input, const PolicyChoice& choice) {
  if (!decided(input, choice)) {
    // Others were decided on between, or the fleet sent it elsewhere: what counts is where it went.
    decision_ = Decision{.outcome = Decision::Outcome::kDispatch,
                         .decode = endpoint_at(input.snapshot, choice.decode),
                         .prefill = endpoint_at(input.snapshot, choice.prefill)};
    decided_for_ = input.id;
    if (decision_.decode == nullptr) return;
  }
  if (!precise_) scheduling::remember(decision_, input.request.prefix, index_, input.now);
  scheduler_.sent(input.request, decision_, input.now, memory_);
  if (decision_.latency.made || decision_.trial.made) under_way_.insert_or_assign(input.id, decision_);
}

void LlmdPolicy::finished(const PolicyOutcome& outcome, TimePoint now) {
  const auto found = under_way_.find(outcome.id);
  if (found == under_way_.end()) return;
  const Decision decision = std::move(found->second);
  under_way_.erase(found);
  const Outcome seen{.endpoint = std::string{places_.name(outcome.endpoint)},
                     .prefill_endpoint = outcome.prefilled_apart && decision.prefill != nullptr ? decision.prefill->name
                                                                                                : std::string{},
                     .status = outcome.failed ? 0 : 200,
                     .endpoint_failed = outcome.failed,
                     .retries = outcome.attempts - 1,
                     .prefill = outcome.prefill,
                     .ttft = outcome.ttft,
                     .total = outcome.ttft + outcome.tpot * (outcome.output_tokens - 1),
                     .streamed = std::max(Duration{1}, outcome.tpot * (outcome.output_tokens - 1)),
                     .prompt_tokens = outcome.prompt_tokens,
                     .cached_tokens = outcome.cached_tokens,
                     .completion_tokens = outcome.output_tokens};
  (void)scheduler_.finished(decision, seen, now, memory_);
}

void LlmdPolicy::endpoint_lost(std::uint32_t endpoint) {
  index_.remove(places_.name(endpoint));
  scheduling::Scheduler::forget(places_.name(endpoint), memory_);
  if (precise_) holders_.remove_endpoint(endpoint);
}

}  // namespace llmd::simulation
