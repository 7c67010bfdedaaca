#include "simulation/policies/llmd_policy.h"

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
          .cached_tokens = decision_.cached_tokens_expected};
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
}

void LlmdPolicy::endpoint_lost(std::uint32_t endpoint) {
  index_.remove(places_.name(endpoint));
  if (precise_) holders_.remove_endpoint(endpoint);
}

}  // namespace llmd::simulation
