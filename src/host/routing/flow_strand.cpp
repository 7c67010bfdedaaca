#include "routing/flow_strand.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "routing/fairness_id.h"
#include "routing/live_loads.h"

namespace llmd::routing {
namespace {

constexpr Duration kWaitMax = std::chrono::hours{24};  // of a request that may wait for ever
constexpr Duration kIdleLook = seconds{1};
constexpr Duration kGaugesInterval = milliseconds{100};
// The gate of a small pool is read for each request, that of a larger one at most so often.
constexpr std::size_t kSmallPool = 64;
constexpr Duration kReadInterval = milliseconds{1};
constexpr flow::GateReading kOpen{.saturation = -1};

std::string in_ms(Duration duration) {
  return fmt::format("{} ms", std::chrono::duration_cast<milliseconds>(duration).count());
}

}  // namespace

Result<FlowParts> make_flow_parts(const flow::FlowConfig& flow, const scheduling::SchedulingConfig& config) {
  LLMD_TRY(flow::FlowRules rules, flow::make_rules(flow));
  LLMD_TRY(flow::SaturationGate gate, flow::SaturationGate::make(flow, config));
  return FlowParts{
      .enabled = flow.enabled,
      .sheds = !flow.enabled,
      .evicts = flow.enabled && flow.eviction,
      .rules = std::move(rules),
      .gate = std::move(gate),
      .session_headers = std::make_shared<const std::vector<std::string>>(routing::session_headers(config))};
}

FlowPass::~FlowPass() {
  if (running_ || undecided_) strand_.end(*this, 0);
}

Task<flow::Outcome> FlowPass::outcome() {
  while (!ready_.is_set()) {
    const bool told = co_await ready_.wait_until(SteadyClock::now() + kWaitMax);
    if (!told) cancel();
  }
  co_return departure_.outcome;
}

void FlowPass::cancel() { strand_.cancel(*this); }

void FlowPass::settle(const flow::Departure& departure) {
  departure_ = departure;
  ready_.set();
}

void FlowPass::decided() {
  const std::scoped_lock lock{strand_.mutex_};
  if (std::exchange(undecided_, false)) --strand_.undecided_;
}

void FlowPass::finish(std::uint32_t output_tokens) { strand_.end(*this, output_tokens); }

void FlowPass::on_evict(std::function<void()> evict) {
  evict_ = std::move(evict);
  if (evict_ && std::exchange(evict_wanted_, false)) this->evict();
}

void FlowPass::evict() {
  if (const auto evict = evict_) {  // a copy: it may set another
    evict();
  } else {
    evict_wanted_ = true;
  }
}

Error FlowPass::error() const {
  switch (departure_.outcome) {
    case flow::Outcome::kRejectedNoEndpoints:
      return {.code = ErrorCode::kNoEndpoint,
              .what = "no endpoint serves now, and " + refusal_,
              .hint = "try again when one is ready"};
    case flow::Outcome::kEvictedTtl:
      return {.code = ErrorCode::kOverloaded,
              .what = fmt::format("there was no room for {}, as long as a request may wait", in_ms(departure_.waited)),
              .hint = "try again later"};
    case flow::Outcome::kEvictedNoEndpoints:
      return {.code = ErrorCode::kNoEndpoint,
              .what = fmt::format("no endpoint came for {}, as long as a request may wait", in_ms(departure_.waited)),
              .hint = "try again when one is ready"};
    case flow::Outcome::kEvictedCancelled:
      return {.code = ErrorCode::kCancelled, .what = "the client left while the request waited"};
    case flow::Outcome::kEvictedShuttingDown:
      return {.code = ErrorCode::kShuttingDown, .what = "the server is stopping", .hint = "try again"};
    case flow::Outcome::kDispatched:
    case flow::Outcome::kRejectedCapacity: break;
  }
  return {.code = ErrorCode::kOverloaded, .what = refusal_, .hint = "try again later"};
}

FlowStrand::FlowStrand(Loop& home, pool::Pool& pool, FlowParts parts, MetricsRegistry& metrics, std::uint64_t seed,
                       std::string pool_name)
    : home_{home},
      pool_{pool},
      metrics_{metrics, std::move(pool_name)},
      programs_{metrics},
      wake_{home},
      enabled_{parts.enabled},
      parts_{std::move(parts)},
      controller_{parts_.rules, seed} {}

std::uint64_t FlowStrand::waiting() const {
  const std::scoped_lock lock{mutex_};
  return controller_.waiting();
}

std::shared_ptr<const std::vector<std::string>> FlowStrand::session_headers() const {
  const std::scoped_lock lock{mutex_};
  return parts_.session_headers;
}

std::shared_ptr<FlowPass> FlowStrand::enter(Loop& loop, FlowRequest request) {
  const auto pass = std::make_shared<FlowPass>(*this, loop, std::move(request));
  Leaving leaving;
  bool first = false;
  {
    const std::scoped_lock lock{mutex_};
    const TimePoint now = SteadyClock::now();
    if (closed_) {
      leaving.emplace_back(pass, flow::Departure{.outcome = flow::Outcome::kEvictedShuttingDown});
    } else if (!parts_.enabled) {
      admit_without_waiting(*pass, now);
    } else {
      const bool none = waiting_.empty();
      admit(*pass, leaving, now);
      first = none && !waiting_.empty();
    }
  }
  if (first) home_.post([this] { wake_.set(); });
  tell(leaving, pass.get());
  return pass;
}

// As llm-d without flow control.
void FlowStrand::admit_without_waiting(FlowPass& pass, TimePoint now) {
  flow::Departure departure;
  if (parts_.sheds && pass.request_.priority < 0 && read_gate(now).saturation >= 1) {
    departure.outcome = flow::Outcome::kRejectedCapacity;
    pass.refusal_ = "system saturated, sheddable request dropped";
    pass.shed_ = true;
  }
  pass.settle(departure);
}

void FlowStrand::admit(FlowPass& pass, Leaving& leaving, TimePoint now) {
  const FlowRequest& request = pass.request_;
  pass.id_ = next_id_++;
  pass.series_ = &metrics_.series_of({.fairness_id = request.fairness_id,
                                      .model = request.model,
                                      .priority = request.priority,
                                      .target_model = request.target_model});
  const auto ticket = controller_.enqueue({.id = pass.id_,
                                           .fairness_id = request.fairness_id,
                                           .priority = request.priority,
                                           .bytes = request.bytes,
                                           .prompt_tokens = request.prompt_tokens,
                                           .uncached_tokens = request.uncached_tokens,
                                           .received = request.received,
                                           .ttft_objective = request.ttft_objective},
                                          now);
  if (!ticket) {
    const flow::Rejection& refused = ticket.error();
    pass.refusal_ = fmt::format("too many requests wait: with this one {} would be {}; {} is allowed", refused.limit,
                                refused.observed, refused.allowed);
    leaving.emplace_back(pass.shared_from_this(),
                         flow::Departure{.outcome = refused.outcome, .retry_after_s = refused.retry_after_s});
    pass.series_->refused(refused.outcome, SteadyClock::now() - now);
    return;
  }
  pass.ticket_ = *ticket;
  waiting_.emplace(pass.id_, pass.shared_from_this());
  pass.series_->entered(request.bytes, SteadyClock::now() - now);
  pump(leaving, now);
}

const flow::GateReading& FlowStrand::read_gate(TimePoint now) {
  const auto view = pool_.view(now);
  if (view->in_flight.size() > kSmallPool && now - read_at_ < kReadInterval) return reading_;
  read_live_loads(*view, live_);
  reading_ = parts_.gate.read({.snapshot = view->snapshot, .live = live_, .undecided = undecided_, .now = now});
  read_at_ = now;
  return reading_;
}

void FlowStrand::pump(Leaving& leaving, TimePoint now) {
  if (controller_.waiting() == 0) return;
  const TimePoint began = SteadyClock::now();
  std::size_t dispatched = 0;
  do {
    dispatched = controller_.step(parts_.enabled ? read_gate(now) : kOpen, now, departures_);
    reading_.saturation += reading_.per_request * static_cast<float>(dispatched);
    take_out(departures_, leaving, now);
  } while (dispatched > 0 && controller_.waiting() > 0);
  if (parts_.evicts && controller_.blocked()) make_room(now);
  metrics_.stepped(SteadyClock::now() - began);
}

void FlowStrand::take_out(std::vector<flow::Departure>& departures, Leaving& leaving, TimePoint now) {
  for (const flow::Departure& departure : departures) {
    const auto found = waiting_.find(departure.id);
    std::shared_ptr<FlowPass> pass = std::move(found->second);
    waiting_.erase(found);
    pass->series_->left(pass->request_.bytes, departure.outcome, departure.waited);
    if (departure.outcome == flow::Outcome::kDispatched) {
      pass->undecided_ = pass->running_ = true;
      const std::string& fairness_id = pass->request_.fairness_id;
      if (controller_.attained_service(departure.band, fairness_id, now))
        programs_.dispatched(fairness_id, departure.waited, now);
      ++undecided_;
      if (parts_.evicts) {
        planner_.started(departure.id, pass->request_.priority, now);
        if (pass->request_.priority < 0) evictable_.emplace(departure.id, pass);
      }
    }
    leaving.emplace_back(std::move(pass), departure);
  }
  departures.clear();
}

void FlowStrand::make_room(TimePoint now) {
  const auto victims = planner_.choose(reading_.saturation, *controller_.blocked(), now);
  metrics_.evictions_given_up(planner_.given_up());
  for (const std::uint64_t id : victims) {
    const auto found = evictable_.find(id);
    if (found == evictable_.end()) continue;
    if (auto pass = found->second.lock()) {
      Loop& loop = pass->loop_;
      loop.post([pass = std::move(pass)] { pass->evict(); });
    }
  }
  if (victims.empty()) return;
  metrics_.evicting(controller_.blocked()->priority, victims.size());
  metrics_.reclaiming(planner_.reclaim(now));
}

void FlowStrand::tell(Leaving& leaving, const FlowPass* own) {
  for (auto& each : leaving) {
    if (each.first.get() == own) {
      each.first->settle(each.second);
      continue;
    }
    Loop& loop = each.first->loop_;
    loop.post([told = std::move(each)] { told.first->settle(told.second); });
  }
}

void FlowStrand::cancel(FlowPass& pass) {
  Leaving leaving;
  {
    const std::scoped_lock lock{mutex_};
    if (!waiting_.contains(pass.id_)) return;  // it has been told, or is about to be
    const TimePoint now = SteadyClock::now();
    if (const auto departure = controller_.cancel(pass.ticket_, now)) departures_.push_back(*departure);
    take_out(departures_, leaving, now);
  }
  tell(leaving, &pass);
}

void FlowStrand::end(FlowPass& pass, std::uint32_t output_tokens) {
  Leaving leaving;
  {
    const std::scoped_lock lock{mutex_};
    const TimePoint now = SteadyClock::now();
    if (std::exchange(pass.undecided_, false)) --undecided_;
    if (!std::exchange(pass.running_, false)) return;
    const flow::Departure& departure = pass.departure_;
    controller_.finish({.band = departure.band,
                        .fairness_id = pass.request_.fairness_id,
                        .charge = {.prompt_tokens = pass.request_.prompt_tokens,
                                   .output_tokens_expected = departure.output_tokens_expected},
                        .output_tokens = output_tokens},
                       now);
    if (const auto attained = controller_.attained_service(departure.band, pass.request_.fairness_id, now))
      programs_.finished(pass.request_.fairness_id, *attained, now);
    if (const auto took = planner_.ended(pass.id_, now)) metrics_.evicted(*took);
    evictable_.erase(pass.id_);
    if (!closed_) pump(leaving, now);
  }
  tell(leaving, nullptr);
}

void FlowStrand::look() {
  Leaving leaving;
  {
    const std::scoped_lock lock{mutex_};
    const TimePoint now = SteadyClock::now();
    pump(leaving, now);
    if (parts_.enabled && now - gauges_at_ >= kGaugesInterval) {
      gauges_at_ = now;
      metrics_.refresh(controller_, read_gate(now), parts_.gate.detector_name());
      if (parts_.evicts) metrics_.reclaiming(planner_.reclaim(now));
      programs_.forget_idle(now);
    }
  }
  tell(leaving, nullptr);
}

Task<void> FlowStrand::run() {
  while (!closed_) {
    const Duration interval = waiting() > 0 ? kLook : kIdleLook;
    (void)co_await wake_.wait_until(SteadyClock::now() + interval);
    if (closed_) co_return;
    wake_.reset();
    look();
  }
}

void FlowStrand::set_parts(FlowParts parts) {
  Leaving leaving;
  {
    const std::scoped_lock lock{mutex_};
    const TimePoint now = SteadyClock::now();
    controller_.reconfigure(std::move(parts.rules), now);
    parts.gate.remember(std::move(parts_.gate));
    parts_ = std::move(parts);
    enabled_ = parts_.enabled;
    read_at_ = {};
    if (!parts_.evicts) metrics_.reclaiming({});
    if (!closed_) pump(leaving, now);
  }
  tell(leaving, nullptr);
}

void FlowStrand::close() {
  Leaving leaving;
  {
    const std::scoped_lock lock{mutex_};
    closed_ = true;
    const TimePoint now = SteadyClock::now();
    controller_.drain(now, departures_);
    take_out(departures_, leaving, now);
  }
  tell(leaving, nullptr);
}

}  // namespace llmd::routing
