#include "flow/flow_controller.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace llmd::flow {

FlowController::FlowController(FlowRules rules, std::uint64_t seed) : rules_{std::move(rules)}, seed_{seed} {
  for (const ListedBand& listed : rules_.bands) {
    bands_.push_back(std::make_unique<Band>(listed.priority, /*listed=*/true, listed.rules, seed_));
    priorities_.push_back(listed.priority);
  }
  rank_bands();
}

void FlowController::rank_bands() {
  ranked_.clear();
  for (const ListedBand& listed : rules_.bands) ranked_.push_back(listed.priority);
  if (ranked_.empty()) ranked_.push_back(0);
  ceilings_.resize(ranked_.size());
}

BandRules FlowController::rules_for(std::int32_t priority) const {
  const auto listed = std::ranges::find(rules_.bands, priority, &ListedBand::priority);
  if (listed != rules_.bands.end()) return listed->rules;
  return priority < 0 ? rules_.other_negative_band : rules_.other_band;
}

Band& FlowController::band_for(std::int32_t priority, TimePoint now) {
  const auto place = [&] {
    return std::ranges::lower_bound(priorities_, priority, std::greater{}) - priorities_.begin();
  };
  auto at = place();
  if (at < std::ssize(bands_) && priorities_[at] == priority) return *bands_[at];
  forget_bands(now);
  at = place();
  if (bands_.size() >= rules_.bands.size() + kOtherBandsMax) return *bands_[std::min(at, std::ssize(bands_) - 1)];
  auto band = std::make_unique<Band>(priority, /*listed=*/false, rules_for(priority), seed_);
  priorities_.insert(priorities_.begin() + at, priority);
  return **bands_.insert(bands_.begin() + at, std::move(band));
}

// Bands that nobody listed and nobody uses.
void FlowController::forget_bands(TimePoint now) {
  std::erase_if(bands_, [&](const std::unique_ptr<Band>& band) {
    return !band->listed() && band->waiting() == 0 && now - band->idle_since() >= kOtherBandIdleMax;
  });
  priorities_.clear();
  for (const auto& band : bands_) priorities_.push_back(band->priority());
}

std::optional<Rejection> FlowController::refusal(const Band& band, std::uint64_t bytes, TimePoint now) const {
  Rejection refused{.outcome = pool_empty_ ? Outcome::kRejectedNoEndpoints : Outcome::kRejectedCapacity};
  const auto breaks = [&](std::string_view limit, std::uint64_t would_be, std::uint64_t allowed) {
    if (allowed == 0 || would_be <= allowed) return false;
    refused.limit = limit;
    refused.observed = would_be;
    refused.allowed = allowed;
    return true;
  };
  if (breaks("maxBytes", bytes_ + bytes, rules_.bytes_max) ||
      breaks("maxRequests", items_.size() + 1, rules_.requests_max)) {
    refused.retry_after_s = retry_after_s(items_.size() + 1, drain_.per_second(now));
    return refused;
  }
  if (breaks("the band's maxBytes", band.bytes() + bytes, band.rules().bytes_max) ||
      breaks("the band's maxRequests", band.waiting() + 1, band.rules().requests_max)) {
    refused.retry_after_s = retry_after_s(band.waiting() + 1, band.drain().per_second(now));
    return refused;
  }
  return std::nullopt;
}

std::expected<Ticket, Rejection> FlowController::enqueue(const FlowItem& request, TimePoint now) {
  Band& band = band_for(request.priority, now);
  if (const auto refused = refusal(band, request.bytes, now)) return std::unexpected(*refused);
  const ItemIndex index = items_.add();
  Item& item = items_[index];
  item.id = request.id;
  item.bytes = request.bytes;
  item.prompt_tokens = request.prompt_tokens;
  item.facts = {.received = request.received,
                .enqueued = now,
                .ttl = rules_.ttl,
                .ttft_objective = request.ttft_objective,
                .uncached_tokens = request.uncached_tokens};
  bytes_ += request.bytes;
  band.insert(items_, index, request.fairness_id.empty() ? kDefaultFairnessId : request.fairness_id, sequence_++, now);
  return items_.ticket(index);
}

void FlowController::set_regime(bool pool_empty, TimePoint now) {
  if (std::exchange(pool_empty_, pool_empty) != pool_empty) regime_since_ = now;
}

// As in llm-d a change between a pool with and without endpoints begins the time anew, but here the whole wait is
// bounded by the longer of the two. All have the same times to live, so deadlines come in the order of arrival.
std::optional<TimePoint> FlowController::deadline_of(const Item& item) const {
  const Duration ttl = pool_empty_ ? rules_.ttl_no_endpoint : rules_.ttl;
  if (ttl <= Duration{}) return std::nullopt;
  const TimePoint since = std::max(item.facts.enqueued, regime_since_);
  if (rules_.ttl <= Duration{} || rules_.ttl_no_endpoint <= Duration{}) return since + ttl;
  return std::min(since + ttl, item.facts.enqueued + std::max(rules_.ttl, rules_.ttl_no_endpoint));
}

std::optional<TimePoint> FlowController::next_deadline() const {
  return items_.oldest() == kNoItem ? std::nullopt : deadline_of(items_[items_.oldest()]);
}

void FlowController::expire(TimePoint now, std::vector<Departure>& out) {
  while (true) {
    const auto deadline = next_deadline();
    if (!deadline || *deadline > now) return;
    out.push_back(take(items_.oldest(), pool_empty_ ? Outcome::kEvictedNoEndpoints : Outcome::kEvictedTtl, now));
  }
}

Departure FlowController::take(ItemIndex index, Outcome outcome, TimePoint now) {
  const Item& item = items_[index];
  Band& band = *item.band;
  Departure departure{.id = item.id, .outcome = outcome, .waited = now - item.facts.enqueued, .band = band.priority()};
  if (outcome == Outcome::kDispatched) {
    departure.output_tokens_expected = band.charge(items_, index, now);
    drain_.note(now);
  } else {
    departure.retry_after_s = retry_after_s(band.waiting(), band.drain().per_second(now));
  }
  bytes_ -= item.bytes;
  band.remove(items_, index, now);
  items_.remove(index);
  return departure;
}

// The highest open band, but after a dispatch of it one request of a lower band that was passed over for too long. Two
// of those never follow each other, so no request of a higher band waits for more than one of a lower.
Band* FlowController::next_band(float saturation, TimePoint now) {
  rules_.usage_limit->ceilings(saturation, ranked_, ceilings_);
  std::size_t rank = 0;  // of the listed band that is not above the one looked at
  Band* highest = nullptr;
  Band* passed_over = nullptr;
  blocked_.reset();
  for (const auto& each : bands_) {
    Band& band = *each;
    if (band.waiting() == 0) continue;
    while (rank + 1 < ranked_.size() && ranked_[rank] > band.priority()) ++rank;
    if (saturation >= ceilings_[rank]) {
      if (!blocked_) blocked_ = Blocked{.priority = band.priority(), .ceiling = ceilings_[rank]};
      continue;
    }
    if (highest == nullptr) {
      highest = &band;
    } else if (rules_.lower_band_patience > Duration{} &&
               now - band.passed_over_since() >= rules_.lower_band_patience &&
               (passed_over == nullptr || band.passed_over_since() < passed_over->passed_over_since())) {
      passed_over = &band;
    }
  }
  if (highest == nullptr) return nullptr;
  lower_went_ = passed_over != nullptr && !lower_went_;
  return lower_went_ ? passed_over : highest;
}

std::size_t FlowController::step(const GateReading& gate, TimePoint now, std::vector<Departure>& out) {
  set_regime(gate.pool_empty, now);
  expire(now, out);
  std::size_t dispatched = 0;
  float saturation = gate.saturation;
  if (gate.pool_empty) blocked_.reset();
  while (!gate.pool_empty && items_.size() > 0 && dispatched < kStepMax) {
    Band* band = next_band(saturation, now);
    if (band == nullptr) break;
    out.push_back(take(band->pick(now), Outcome::kDispatched, now));
    saturation += gate.per_request;
    ++dispatched;
  }
  if (items_.size() == 0) blocked_.reset();
  return dispatched;
}

std::optional<Departure> FlowController::cancel(Ticket ticket, TimePoint now) {
  const ItemIndex index = items_.find(ticket);
  if (index == kNoItem) return std::nullopt;
  return take(index, Outcome::kEvictedCancelled, now);
}

void FlowController::drain(TimePoint now, std::vector<Departure>& out) {
  while (items_.size() > 0) out.push_back(take(items_.oldest(), Outcome::kEvictedShuttingDown, now));
}

std::optional<double> FlowController::attained_service(std::int32_t band, std::string_view fairness_id,
                                                       TimePoint now) const {
  double sum = 0;
  bool asked = false;
  for (const auto& each : bands_) {
    if (!each->rules().fairness.policy->program_aware()) continue;
    asked = asked || each->priority() == band;
    sum += each->service_of(fairness_id.empty() ? kDefaultFairnessId : fairness_id, now);
  }
  return asked ? std::optional{sum} : std::nullopt;
}

void FlowController::finish(const Finished& finished, TimePoint now) {
  const auto band = std::ranges::find(bands_, finished.band, &Band::priority);
  if (band == bands_.end()) return;
  (*band)->finish(finished.fairness_id.empty() ? kDefaultFairnessId : finished.fairness_id, finished.charge,
                  finished.output_tokens, now);
}

void FlowController::reconfigure(FlowRules rules, TimePoint now) {
  rules_ = std::move(rules);
  std::vector<std::unique_ptr<Band>> before = std::exchange(bands_, {});
  std::vector<std::unique_ptr<Band>> emptied;  // until their flows' names are not needed any more
  for (auto& band : before) {
    const std::int32_t priority = band->priority();
    const bool listed = std::ranges::find(rules_.bands, priority, &ListedBand::priority) != rules_.bands.end();
    BandRules fresh = rules_for(priority);
    if (band->rules().orders_like(fresh)) {
      band->set_rules(std::move(fresh), listed);
      bands_.push_back(std::move(band));
      continue;
    }
    bands_.push_back(std::make_unique<Band>(priority, listed, std::move(fresh), seed_));
    emptied.push_back(std::move(band));
  }
  for (const ListedBand& listed : rules_.bands) {
    if (std::ranges::find(bands_, listed.priority, &Band::priority) == bands_.end())
      bands_.push_back(std::make_unique<Band>(listed.priority, /*listed=*/true, listed.rules, seed_));
  }
  std::ranges::sort(bands_, std::greater{}, &Band::priority);
  priorities_.clear();
  for (const auto& band : bands_) priorities_.push_back(band->priority());
  rank_bands();
  // Oldest first, so that equal keys keep their order; the numbers, and with them the tickets, stay.
  for (ItemIndex index = items_.oldest(); index != kNoItem; index = items_[index].newer) {
    Item& item = items_[index];
    Band& old = *item.band;
    item.facts.ttl = rules_.ttl;
    if (std::ranges::find(emptied, &old, &std::unique_ptr<Band>::get) == emptied.end()) continue;
    Band& band = **std::ranges::find(bands_, old.priority(), &Band::priority);
    band.insert(items_, index, old.flow_name(item.flow), item.key.sequence, now);
  }
}

bool FlowController::check_integrity() const {
  std::uint64_t waiting = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < bands_.size(); ++i) {
    if (bands_[i]->priority() != priorities_[i] || !bands_[i]->check_integrity(items_)) return false;
    if (i > 0 && priorities_[i - 1] <= priorities_[i]) return false;
    waiting += bands_[i]->waiting();
    bytes += bands_[i]->bytes();
  }
  return waiting == items_.size() && bytes == bytes_;
}

}  // namespace llmd::flow
