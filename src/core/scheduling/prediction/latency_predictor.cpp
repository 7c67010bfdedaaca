#include "scheduling/prediction/latency_predictor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

#include "model/peer_class.h"
#include "scheduling/prediction/link_speed.h"

namespace llmd::scheduling {
namespace {

constexpr float kKilo = 1'000;
constexpr float kTtftFloorMs = 20;
constexpr float kTpotFloorMs = 2;
constexpr float kFactorWeightMax = 10;  // so one observation moves a settled factor by a tenth
constexpr float kFactorPrior = 5;       // observations before a factor counts by half
constexpr double kRatioMax = 8;         // one outlier
constexpr float kErrorKeep = 0.99F;
constexpr float kMeanKeep = 0.98F;
constexpr float kAdvantageStep = 0.1F;

/// About e^-x, above 0. Enough for fading.
float fade(float x) noexcept { return 1.0F / (1.0F + x + 0.5F * x * x); }

float seconds_between(TimePoint from, TimePoint to) noexcept {
  return std::max(0.0F, std::chrono::duration<float>(to - from).count());
}

// What a first token waits for: the prompt's computation (longer, the longer what it attends to), that of the prompts
// before it, the tokens that others make between, a slot.
constexpr std::size_t kQueuedFeature = 3;
constexpr std::size_t kSharedFeature = 4;  // by those that decode meanwhile
Regression::Features ttft_features(const LatencyBasis& b) noexcept {
  const float uncached = b.prompt - b.cached;
  return {1.0F,       uncached, uncached * b.prompt, b.queued, (b.queued + uncached) * b.decoding, b.slot_wait,
          b.decoding, b.cached};
}

// What a token waits for: the step, its sequences and their contexts, and the prompts that share it.
Regression::Features tpot_features(const LatencyBasis& b) noexcept {
  const float uncached = b.apart ? 0 : b.prompt - b.cached;
  return {1.0F,     b.decoding,     b.context + b.prompt,        b.queued,
          uncached, b.prefill_rate, b.prefill_rate * b.decoding, b.waiting};
}

// What a decode leg's first token waits for: the KV, by its size, its way and what is made of it here; a slot; the step
// that makes it, with the prompts that are computed here.
constexpr std::size_t kMovedFeature = 1;
constexpr std::size_t kLatencyFeature = 2;
constexpr std::size_t kReceivedFeature = 3;
Regression::Features handoff_features(const LatencyBasis& b) noexcept {
  return {1.0F, b.moved * b.link, b.link_latency, b.moved, b.decoding, b.slot_wait, b.queued, b.context};
}

void note_error(float& mean, float seen, float predicted) noexcept {
  mean = kErrorKeep * mean + (1 - kErrorKeep) * std::abs(seen - predicted) / std::max(predicted, 1.0F);
}

/// 0 means that nothing was seen yet.
void note_mean(float& mean, float seen) noexcept {
  mean = mean == 0 ? seen : kMeanKeep * mean + (1 - kMeanKeep) * seen;
}

}  // namespace

/// Deviations of some predictions of one class, made together.
class LatencyPredictor::Deviations {
 public:
  explicit Deviations(std::span<LatencyPrediction> predictions) noexcept : predictions_{predictions} {}

  struct Asked {
    EndpointIndex endpoint = 0;
    float factor_ttft = 0;
    float factor_tpot = 0;
  };
  void add(const Class& of_class, Asked asked, const Regression::Features& ttft, float ttft_ms,
           const Regression::Features& tpot, float tpot_ms) noexcept {
    if (count_ == Regression::kAtOnce || class_ != &of_class) make();
    class_ = &of_class;
    asked_[count_] = asked;
    ttft_[count_] = ttft;
    tpot_[count_] = tpot;
    ttft_ms_[count_] = ttft_ms;
    tpot_ms_[count_] = tpot_ms;
    ++count_;
  }
  void make() noexcept {
    if (count_ == 0) return;
    const auto ttft = class_->ttft.deviations(ttft_, ttft_ms_);
    const auto tpot = class_->tpot.deviations(tpot_, tpot_ms_);
    for (std::size_t n = 0; n < count_; ++n) {
      predictions_[asked_[n].endpoint].ttft_deviation_ms = ttft[n] * asked_[n].factor_ttft;
      predictions_[asked_[n].endpoint].tpot_deviation_ms = tpot[n] * asked_[n].factor_tpot;
    }
    count_ = 0;
  }

 private:
  template <class T>
  using Some = std::array<T, Regression::kAtOnce>;
  std::span<LatencyPrediction> predictions_;
  const Class* class_ = nullptr;
  std::size_t count_ = 0;
  Some<Asked> asked_{};
  Some<Regression::Features> ttft_{};
  Some<Regression::Features> tpot_{};
  Some<float> ttft_ms_{};
  Some<float> tpot_ms_{};
};

void LatencyPredictor::resolve(std::span<const EndpointState> endpoints, Places& places) {
  const std::unique_lock lock{mutex_};
  places.endpoints.clear();
  places.slots.clear();
  for (const EndpointState& state : endpoints) {
    places.endpoints.push_back(state.endpoint);
    places.slots.push_back(slot_for(*state.endpoint));
  }
  places.epoch = epoch_;
}

std::uint32_t LatencyPredictor::slot_for(const Endpoint& endpoint) {
  if (const auto found = slots_.find(std::string_view{endpoint.name}); found != slots_.end()) {
    join_class(known_[found->second], class_for(endpoint));  // it may have told its model meanwhile
    return found->second;
  }
  std::uint32_t slot = kNoSlot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (known_.size() < options_.endpoints_max) {
    slot = static_cast<std::uint32_t>(known_.size());
    known_.emplace_back();
  } else {
    return kNoSlot;
  }
  known_[slot] = {};
  join_class(known_[slot], class_for(endpoint));
  slots_.emplace(endpoint.name, slot);
  return slot;
}

std::uint32_t LatencyPredictor::class_for(const Endpoint& endpoint) {
  std::string name = peer_class(endpoint);
  if (const auto found = class_names_.find(name); found != class_names_.end()) return found->second;
  auto place = static_cast<std::uint32_t>(classes_.size());
  if (classes_.size() >= options_.classes_max) {
    const auto unused = std::ranges::find(classes_, 0U, &Class::endpoints);
    if (unused == classes_.end()) return kNoClass;
    place = static_cast<std::uint32_t>(unused - classes_.begin());
    class_names_.erase(unused->name);
  } else {
    classes_.push_back({.ttft = {1, 1}, .tpot = {1, 1}, .handoff = {1, 1}});
  }
  classes_[place] = {.ttft = {options_.memory, kTtftFloorMs},
                     .tpot = {options_.memory, kTpotFloorMs},
                     .handoff = {options_.memory, kTtftFloorMs},
                     .name = name};
  class_names_.emplace(std::move(name), place);
  return place;
}

void LatencyPredictor::join_class(Known& known, std::uint32_t of_class) {
  if (known.of_class == of_class) return;
  if (known.of_class != kNoClass) --classes_[known.of_class].endpoints;
  if (of_class != kNoClass) ++classes_[of_class].endpoints;
  known.of_class = of_class;
}

float LatencyPredictor::weight_now(const Factor& factor, TimePoint now) const noexcept {
  const float idle = seconds_between(factor.at, now) / std::chrono::duration<float>(options_.factor_half_life).count();
  return factor.weight * fade(0.693F * idle);
}

float LatencyPredictor::factor(const Factor& factor, TimePoint now) const noexcept {
  if (factor.weight == 0) return 1;
  const float weight = weight_now(factor, now);
  return std::exp(factor.log * weight / (weight + kFactorPrior));
}

void LatencyPredictor::correct(Factor& factor, double ratio, TimePoint now) const noexcept {
  factor.weight = std::min(kFactorWeightMax, weight_now(factor, now) + 1);
  const auto seen = static_cast<float>(std::log(std::clamp(ratio, 1 / kRatioMax, kRatioMax)));
  factor.log += (seen - factor.log) / factor.weight;
  factor.at = now;
}

float LatencyPredictor::rate_left(const Known& known, TimePoint now) const noexcept {
  const float window = std::chrono::duration<float>(options_.rate_window).count();
  return fade(seconds_between(known.rate_at, now) / window);
}

float LatencyPredictor::queued(const LiveLoad& live, const Known& known, float decoding, TimePoint now) const noexcept {
  const float all = static_cast<float>(live.prefill_tokens) / kKilo;
  if (live.prefilling == 0) return all;
  const auto of_ttft = classes_[known.of_class].ttft.coefficients();
  const float ms_each = (of_ttft[kQueuedFeature] + of_ttft[kSharedFeature] * decoding) * factor(known.ttft, now);
  if (ms_each <= 0) return all;
  const float done = kKilo * seconds_between(live.prefill_since, now) / ms_each;
  return all - std::min(done, static_cast<float>(std::min(live.prefill_head, live.prefill_tokens)) / kKilo);
}

LatencyBasis LatencyPredictor::observe(const PluginInput& input, std::uint32_t slot, EndpointIndex i) const noexcept {
  LatencyBasis basis{.made = true};
  basis.prompt = static_cast<float>(input.request.prompt_tokens) / kKilo;
  basis.cached = static_cast<float>(input.matched_tokens(i)) / kKilo;
  if (input.live.empty()) {
    basis.queued = static_cast<float>(input.endpoints[i].inflight_tokens) / kKilo;
    basis.decoding = static_cast<float>(input.endpoints[i].inflight_requests);
  } else {
    const LiveLoad& live = input.live[i];
    basis.decoding = static_cast<float>(live.requests - std::min(live.requests, live.prefilling));
    basis.queued = queued(live, known_[slot], basis.decoding, input.now);
    basis.context = static_cast<float>(live.context_tokens) / kKilo;
  }
  // Those that wait for a place get it when those that run end: Little's law.
  basis.waiting = static_cast<float>(input.fresh(input.endpoints[i].waiting_requests).value_or(0));
  const auto running = static_cast<float>(input.fresh(input.endpoints[i].running_requests).value_or(0));
  const Class& model = classes_[known_[slot].of_class];
  basis.slot_wait = basis.waiting * model.output_tokens * model.tpot_ms / std::max(1.0F, running) / kKilo;
  basis.prefill_rate = known_[slot].rate * rate_left(known_[slot], input.now);
  return basis;
}

HandoffPrediction LatencyPredictor::handoff(const Known& known, LatencyBasis basis, TimePoint now) const noexcept {
  const Class& model = classes_[known.of_class];
  if (model.handoff.observations() < options_.observations_min) return {};
  basis.apart = true;
  basis.moved = basis.prompt - basis.cached;
  const float factor_now = factor(known.handoff, now);
  const Regression::Features features = handoff_features(basis);
  const float of_class = model.handoff.predict(features);
  const auto coefficients = model.handoff.coefficients();
  HandoffPrediction out{.known = true};
  out.moved_ms = coefficients[kMovedFeature] * factor_now;
  out.received_ms = coefficients[kReceivedFeature] * factor_now;
  out.latency_ms = coefficients[kLatencyFeature] * factor_now;
  out.base_ms = of_class * factor_now - (out.moved_ms + out.received_ms) * basis.moved;
  out.deviation = of_class > 0 ? model.handoff.deviation(features, of_class) / of_class : 0;
  const Regression::Features tpot = tpot_features(basis);
  const float tpot_of_class = model.tpot.predict(tpot);
  const float tpot_factor = factor(known.tpot, now);
  out.tpot_ms = tpot_of_class * tpot_factor;
  out.tpot_deviation_ms = model.tpot.deviation(tpot, tpot_of_class) * tpot_factor;
  return out;
}

void LatencyPredictor::predict(const PluginInput& input, Places& places, std::vector<LatencyPrediction>& predictions,
                               std::vector<HandoffPrediction>* handoffs) {
  predictions.assign(input.endpoints.size(), {});
  if (handoffs != nullptr) handoffs->assign(input.endpoints.size(), {});
  const auto same = [&] {
    return places.epoch == epoch_ &&
           std::equal(input.endpoints.begin(), input.endpoints.end(), places.endpoints.begin(), places.endpoints.end(),
                      [](const EndpointState& state, const auto& known) { return state.endpoint == known; });
  };
  std::shared_lock lock{mutex_};
  if (!same()) {
    lock.unlock();
    resolve(input.endpoints, places);
    lock.lock();
  }
  Deviations deviations{predictions};
  for (EndpointIndex i = 0; i < input.endpoints.size(); ++i) {
    const std::uint32_t slot = places.slots[i];
    if (slot == kNoSlot || known_[slot].of_class == kNoClass) continue;
    const Known& known = known_[slot];
    const Class& model = classes_[known.of_class];
    const LatencyBasis b = observe(input, slot, i);
    if (handoffs != nullptr) (*handoffs)[i] = handoff(known, b, input.now);
    // Where answers are one token long there is no time per token to learn, and none to predict.
    if (model.ttft.observations() < options_.observations_min) continue;
    const Regression::Features ttft = ttft_features(b);
    const Regression::Features tpot = tpot_features(b);
    const float ttft_factor = factor(known.ttft, input.now);
    const float tpot_factor = factor(known.tpot, input.now);
    LatencyPrediction& out = predictions[i];
    out.known = true;
    const float ttft_of_class = model.ttft.predict(ttft);
    const float tpot_of_class = model.tpot.predict(tpot);
    out.ttft_ms = ttft_of_class * ttft_factor;
    out.tpot_ms = tpot_of_class * tpot_factor;
    deviations.add(model, {i, ttft_factor, tpot_factor}, ttft, ttft_of_class, tpot, tpot_of_class);
    // What a queued prompt delays those behind it by, is the engine time that it takes.
    const auto of_ttft = model.ttft.coefficients();
    const auto of_tpot = model.tpot.coefficients();
    out.prefill_ms = ttft[1] * (of_ttft[kQueuedFeature] + of_ttft[kSharedFeature] * b.decoding) * ttft_factor;
    out.sequence_ms = (of_tpot[1] + of_tpot[2] * b.prompt) * tpot_factor;
    out.output_tokens = model.output_tokens;
    out.advantage_ms = known.advantage_ms;
    out.arrivals_per_s = known.arrivals * rate_left(known, input.now);
    out.prefill_share = std::min(1.0F, b.prefill_rate * of_ttft[kQueuedFeature] * ttft_factor / kKilo);
  }
  deviations.make();
}

LatencyBasis LatencyPredictor::basis_of(const PluginInput& input, EndpointIndex i) {
  const std::unique_lock lock{mutex_};
  const std::uint32_t slot = slot_for(*input.endpoints[i].endpoint);
  if (slot == kNoSlot || known_[slot].of_class == kNoClass) return {};
  return observe(input, slot, i);
}

LatencyBasis LatencyPredictor::basis(const PluginInput& input, const Places& places, EndpointIndex i) const {
  const std::shared_lock lock{mutex_};
  if (i >= places.slots.size() || places.slots[i] == kNoSlot || known_[places.slots[i]].of_class == kNoClass) return {};
  LatencyBasis basis = observe(input, places.slots[i], i);
  if (i < input.predictions.size() && input.predictions[i].known) {
    basis.known = true;
    basis.ttft_ms = input.predictions[i].ttft_ms;
    basis.tpot_ms = input.predictions[i].tpot_ms;
    basis.advantage_ms = advantage_of(input, places, i);
  }
  return basis;
}

float LatencyPredictor::advantage_of(const PluginInput& input, const Places& places, EndpointIndex i) const noexcept {
  float best = input.predictions[i].ttft_ms + kAdvantageMaxMs;
  const std::uint32_t of_class = known_[places.slots[i]].of_class;
  for (EndpointIndex other = 0; other < input.predictions.size(); ++other) {
    if (other == i || !input.predictions[other].known || known_[places.slots[other]].of_class != of_class) continue;
    const EndpointState& state = input.endpoints[other];
    if (state.health != EndpointHealth::kReady && state.health != EndpointHealth::kUnknown) continue;
    if (state.traffic.share < 1) continue;
    best = std::min(best, input.predictions[other].ttft_ms);
  }
  return std::max(0.0F, best - input.predictions[i].ttft_ms);
}

LatencyBasis LatencyPredictor::basis_apart(const PluginInput& input, const Places& places, EndpointIndex i,
                                           EndpointIndex prefill) const {
  const std::shared_lock lock{mutex_};
  if (i >= places.slots.size() || places.slots[i] == kNoSlot || known_[places.slots[i]].of_class == kNoClass) return {};
  LatencyBasis basis = observe(input, places.slots[i], i);
  const HandoffPrediction handoff = this->handoff(known_[places.slots[i]], basis, input.now);
  basis.apart = true;
  basis.moved = basis.prompt - basis.cached;
  const LinkSpeed link = link_between(input, prefill, i);
  basis.link = link.slowness;
  basis.link_latency = link.latency_ms;
  if (!handoff.known || prefill >= input.predictions.size() || !input.predictions[prefill].known) return basis;
  basis.known = true;
  basis.ttft_ms = input.predictions[prefill].ttft_ms + handoff_ms(handoff, basis.moved, link);
  basis.tpot_ms = handoff.tpot_ms;
  return basis;
}

void LatencyPredictor::sent(std::string_view endpoint, const LatencyBasis& basis, TimePoint now) {
  const std::unique_lock lock{mutex_};
  const auto found = slots_.find(endpoint);
  if (found == slots_.end()) return;
  Known& known = known_[found->second];
  const float window = std::chrono::duration<float>(options_.rate_window).count();
  const float left = rate_left(known, now);
  known.arrivals = known.arrivals * left + 1 / window;
  known.rate = known.rate * left + (basis.prompt - basis.cached) / window;
  if (basis.known) known.advantage_ms += kAdvantageStep * (basis.advantage_ms - known.advantage_ms);
  known.rate_at = now;
}

LatencyRatios LatencyPredictor::learn(const LatencyBasis& basis, const ObservedLatency& seen, TimePoint now) {
  LatencyRatios ratios;
  if (!basis.made) return ratios;
  const std::unique_lock lock{mutex_};
  const auto found = slots_.find(seen.endpoint);
  if (found == slots_.end()) return ratios;
  Known& known = known_[found->second];
  if (known.of_class == kNoClass) return ratios;
  Class& model = classes_[known.of_class];
  ++observations_;
  LatencyBasis as_it_was = basis;  // what was really cached is known now
  as_it_was.cached = std::min(basis.prompt, static_cast<float>(seen.cached_tokens) / kKilo);
  const auto learn_one = [&](Regression& of, const Regression::Features& features, Factor& factor_of, float value,
                             float& ratio) {
    const float factor_now = factor(factor_of, now);
    const float predicted = of.predict(features);
    of.add(features, static_cast<double>(value / factor_now));
    if (of.observations() <= options_.observations_min || predicted <= 0) return;
    ratio = value / predicted;
    correct(factor_of, static_cast<double>(ratio), now);
  };
  if (seen.ttft_ms > 0) {
    if (basis.known) note_error(ttft_error_, seen.ttft_ms, basis.ttft_ms);
    if (!basis.apart) {
      learn_one(model.ttft, ttft_features(as_it_was), known.ttft, seen.ttft_ms, ratios.ttft);
    } else if (seen.ttft_ms > seen.prefill_ms) {
      learn_one(model.handoff, handoff_features(basis), known.handoff, seen.ttft_ms - seen.prefill_ms, ratios.ttft);
    }
  }
  if (seen.tpot_ms > 0) {
    if (basis.known) note_error(tpot_error_, seen.tpot_ms, basis.tpot_ms);
    learn_one(model.tpot, tpot_features(as_it_was), known.tpot, seen.tpot_ms, ratios.tpot);
    note_mean(model.tpot_ms, seen.tpot_ms);
  }
  if (seen.output_tokens > 0) note_mean(model.output_tokens, static_cast<float>(seen.output_tokens));
  return ratios;
}

void LatencyPredictor::forget(std::string_view endpoint) {
  const std::unique_lock lock{mutex_};
  const auto found = slots_.find(endpoint);
  if (found == slots_.end()) return;
  join_class(known_[found->second], kNoClass);
  known_[found->second] = {};
  free_.push_back(found->second);
  slots_.erase(found);
  ++epoch_;
}

void LatencyPredictor::keep_only(const std::set<std::string>& endpoints) {
  std::vector<std::string> gone;
  {
    const std::shared_lock lock{mutex_};
    for (const auto& [name, slot] : slots_) {
      if (!endpoints.contains(name)) gone.push_back(name);
    }
  }
  for (const std::string& name : gone) forget(name);
}

LatencyPredictor::Stats LatencyPredictor::stats() const {
  const std::shared_lock lock{mutex_};
  return {.classes = classes_.size(),
          .endpoints = slots_.size(),
          .observations = observations_,
          .ttft_error = ttft_error_,
          .tpot_error = tpot_error_};
}

PluginState LatencyPredictor::state() const {
  const Stats known = stats();
  return {.figures = {{"totalEndpoints", static_cast<double>(known.endpoints)},
                      {"maxEndpoints", static_cast<double>(options_.endpoints_max)},
                      {"classes", static_cast<double>(known.classes)},
                      {"observations", static_cast<double>(known.observations)},
                      {"ttftError", known.ttft_error},
                      {"tpotError", known.tpot_error}}};
}

}  // namespace llmd::scheduling
