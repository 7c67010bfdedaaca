#include "simulation/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "model/link_table.h"
#include "simulation/engine.h"
#include "simulation/fleet_state.h"
#include "simulation/role_changes.h"
#include "simulation/shared_cores.h"
#include "simulation/to_duration.h"

namespace llmd::simulation {
namespace {

constexpr std::string_view kModel = "m";
constexpr TimePoint kStart{std::chrono::hours{1}};

class Run {
 public:
  Run(const FleetOptions& options, Workload& workload, Policy& policy, FlowControl* flow)
      : options_{options}, workload_{workload}, policy_{policy}, flow_{flow}, rng_{options.seed} {
    result_.busy_s.assign(options.endpoints, 0.0);
    result_.sent.assign(options.endpoints, 0);
    result_.load.assign(options.endpoints, 0.0);
    live_.resize(options.endpoints);
    facts_.model = std::string{kModel};
    for (std::uint32_t i = 0; i < options.endpoints; ++i) add_endpoint(i);
    measure_links();
    if (options.rebalance_roles) roles_.emplace();
    if (options.cores > 0) {
      cores_.emplace(SharedCores::Options{.workers = options.endpoints,
                                          .cores = options.cores,
                                          .neighbour_slowdown = options.profile.neighbour_slowdown,
                                          .sharing_slowdown = options.profile.sharing_slowdown});
    }
    outliers_.emplace(options.outliers, snapshot_);
    for (std::uint32_t i = 0; i < options.faults.size(); ++i)
      push({.at = kStart + options.faults[i].at, .kind = EventKind::kFault, .endpoint = i});
    push({.at = kStart, .kind = EventKind::kScrape});
    if (options.load_sampler != nullptr) push({.at = kStart + options.load_interval, .kind = EventKind::kSample});
    fetch_arrival();
  }

  FleetResult run() {
    while (!events_.empty()) {
      const Event event = events_.top();
      if (event.at - kStart > options_.duration_max) break;
      const bool nothing_comes = active_.empty() && !arrival_ && turns_.empty();
      const bool looks =
          event.kind == EventKind::kScrape || event.kind == EventKind::kReadings || event.kind == EventKind::kSample;
      if (looks && nothing_comes) break;
      if (event.at >= window_end() && measured_active_ == 0) break;
      events_.pop();
      now_ = event.at;
      handle(event);
      if (flow_ != nullptr) look_at_flow();
    }
    for (const auto& [id, active] : active_) record(active, /*failed=*/true);
    const TimePoint end = window_end() == TimePoint::max() ? last_end_ : window_end();
    result_.measured_s = std::max(0.0, to_seconds(end - window_begin()));
    for (double& load : result_.load) load /= static_cast<double>(std::max<std::uint64_t>(1, scrapes_measured_));
    if (roles_) result_.role_changes = roles_->changes();
    return std::move(result_);
  }

 private:
  void push(Event event) {
    event.order = order_++;
    events_.push(event);
  }

  void add_endpoint(std::uint32_t i) {
    Endpoint endpoint{.name = fmt::format("e{}", i),
                      .url = fmt::format("http://e{}", i),
                      .models = {{.id = std::string{kModel}}},
                      .labels = {}};
    if (options_.prefill_endpoints > 0)
      endpoint.labels[std::string{kRoleLabel}] = i < options_.prefill_endpoints ? "prefill" : "decode";
    if (options_.rebalance_roles) endpoint.labels[std::string{pd::kRoleMayChangeLabel}] = "true";
    EndpointState state;
    state.endpoint = std::make_shared<const Endpoint>(std::move(endpoint));
    state.health = EndpointHealth::kReady;
    snapshot_.endpoints.push_back(std::move(state));
    endpoints_.push_back({.engine = std::make_unique<SimEngine>(options_.profile, workload_.block_tokens(),
                                                                policy_.wants_block_events())});
  }

  void fetch_arrival() {
    if (options_.requests_max > 0 && taken_ >= options_.requests_max) return;
    auto next = workload_.next();
    if (!next) return;
    ++taken_;
    arrival_ = std::make_shared<const SimRequest>(*std::move(next));
    push({.at = kStart + arrival_->arrival, .kind = EventKind::kArrival, .request = 0});
  }

  void handle(const Event& event) {
    switch (event.kind) {
      case EventKind::kArrival: on_arrival(event.request); return;
      case EventKind::kSubmit: on_submit(event.request, event.endpoint); return;
      case EventKind::kStepEnd: on_step_end(event.endpoint, event.request); return;
      case EventKind::kTransferred: on_transferred(event.request, event.endpoint); return;
      case EventKind::kScrape: on_scrape(); return;
      case EventKind::kReadings: on_readings(); return;
      case EventKind::kFault: on_fault(options_.faults[event.endpoint]); return;
      case EventKind::kServes: on_serves(event.endpoint, event.request); return;
      case EventKind::kSample: on_sample(); return;
      case EventKind::kFlow: flow_event_.reset(); return;  // time alone has changed
    }
  }

  // `turn`: 0 for the next session, else the place of a later turn.
  void on_arrival(std::uint64_t turn) {
    std::shared_ptr<const SimRequest> request;
    if (turn == 0) {
      request = std::exchange(arrival_, nullptr);
      fetch_arrival();
    } else {
      const auto found = turns_.find(turn);
      request = std::move(found->second);
      turns_.erase(found);
    }
    Active& active = active_[request->id];
    active.request = std::move(request);
    active.arrived = now_;
    active.output_tokens =
        std::max(1U, options_.profile.output_tokens_of(active.request->prompt_tokens, active.request->output_tokens));
    if (measured(active)) ++measured_active_;
    if (flow_ == nullptr) return decide(active);
    fill_facts(*active.request);
    if (flow_->enter(*active.request, policy_.cached_tokens(input_of(*active.request)), now_)) return;
    ++result_.turned_away;
    end(active, /*failed=*/true);
  }

  // After every event: arrivals, ends, readings and time may each let requests go.
  void look_at_flow() {
    do {
      leaving_.clear();
      flow_->look(snapshot_, live_, now_, leaving_);
      for (const FlowControl::Leaving& leaving : leaving_) {
        Active& active = active_.at(leaving.id);
        if (now_ > active.arrived) ++result_.held_back;
        if (leaving.dispatched) {
          decide(active);
        } else {
          ++result_.turned_away;
          end(active, /*failed=*/true);
        }
      }
    } while (!leaving_.empty());
    const auto deadline = flow_->next_deadline();
    if (!deadline || (flow_event_ && *flow_event_ <= *deadline)) return;
    flow_event_ = *deadline;
    push({.at = *deadline, .kind = EventKind::kFlow});
  }

  [[nodiscard]] TimePoint window_begin() const { return kStart + options_.measure_from; }
  [[nodiscard]] TimePoint window_end() const {
    return options_.measure_until == Duration::max() ? TimePoint::max() : kStart + options_.measure_until;
  }
  [[nodiscard]] bool measured(const Active& active) const {
    return active.arrived >= window_begin() && active.arrived < window_end();
  }

  void fill_facts(const SimRequest& request) {
    const std::uint32_t block_tokens = workload_.block_tokens();
    const std::size_t blocks = std::min<std::size_t>(request.blocks.size(), request.prompt_tokens / block_tokens);
    facts_.prefix.hashes.assign(request.blocks.begin(), request.blocks.begin() + static_cast<std::ptrdiff_t>(blocks));
    facts_.prefix.block_tokens = block_tokens;
    facts_.prefix.whole_blocks = true;
    facts_.prompt_tokens = request.prompt_tokens;
    facts_.prompt_tokens_exact = true;
    facts_.streaming = true;
    facts_.priority = request.priority;
    facts_.slo_ttft_ms = request.slo_ttft_ms;
    facts_.slo_tpot_ms = request.slo_tpot_ms;
  }

  // Pre: fill_facts() of it.
  [[nodiscard]] PolicyInput input_of(const SimRequest& request) {
    return {.id = request.id,
            .request = facts_,
            .snapshot = snapshot_,
            .live = live_,
            .session = request.session,
            .recorded_endpoint = request.recorded_endpoint,
            .now = now_,
            .rng = rng_};
  }

  void decide(Active& active) {
    const SimRequest& request = *active.request;
    fill_facts(request);
    const PolicyInput input = input_of(request);
    if (!policy_.heeds_shares()) outliers_->hide(input, snapshot_);
    active.choice = policy_.choose(input);
    outliers_->unhide(snapshot_);
    ++result_.decisions;
    if (++active.attempts == 1) active.dispatched = now_;
    active.prefilled_apart = false;
    active.cached_tokens = 0;
    if (asks_oracle(active)) ask_oracle(request, active.choice.decode);
    if (active.choice.decode == kNoEndpoint) return end(active, /*failed=*/true);
    active.prefilling = active.choice.prefill != kNoEndpoint && active.choice.prefill != active.choice.decode;
    policy_.sent(input, active.choice);
    if (roles_) roles_->on_sent(active.choice.expected, now_);
    active.expected = outliers_->sent(input, active.choice, snapshot_);
    active.sent_at = now_;
    const std::uint32_t first = active.prefilling ? active.choice.prefill : active.choice.decode;
    if (snapshot_.endpoints[first].health == EndpointHealth::kDown) ++result_.dispatched_to_dead;
    count_live(active);
    ++result_.sent[active.choice.decode];
    push({.at = now_ + to_duration(options_.profile.submit_s),
          .kind = EventKind::kSubmit,
          .endpoint = active.attempts,
          .request = request.id});
  }

  // Of fleets with roles nothing is asked: there a first token has two endpoints. Nor of shared cores: how quick one is
  // depends on what the others will do.
  [[nodiscard]] bool asks_oracle(const Active& active) {
    if (options_.oracle_every == 0 || options_.prefill_endpoints > 0 || cores_) return false;
    return active.attempts == 1 && measured(active) && asked_++ % options_.oracle_every == 0;
  }
  void ask_oracle(const SimRequest& request, std::uint32_t chosen) {
    std::vector<std::optional<Duration>> times(endpoints_.size());
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      const EndpointRun& endpoint = endpoints_[i];
      if (!endpoint.alive) continue;
      const EndpointMoment moment{.engine = *endpoint.engine,
                                  .step_ends = endpoint.stepping ? std::optional{endpoint.step_ends} : std::nullopt,
                                  .paused_until = endpoint.paused_until,
                                  .slow = endpoint.slow};
      times[i] = time_to_first_token(moment, request, options_.profile, now_);
    }
    judge(times, chosen, result_.oracle);
  }

  // As llm-d counts: every leg's endpoint has the request, a prefill leg's until the first token; and the prompt's
  // tokens that are not cached until then. As prefill they count only where and until they are computed.
  void count_live(Active& active) {
    const std::uint32_t prompt = active.request->prompt_tokens;
    active.live_tokens = prompt - std::min(prompt, active.choice.cached_tokens);
    count_leg(active, active.choice.decode);
    if (active.prefilling) count_leg(active, active.choice.prefill);
    active.prefill_at = active.prefilling ? active.choice.prefill : active.choice.decode;
    live_[active.prefill_at].prompt_sent(active.live_tokens, now_);
    active.computing = true;
  }
  void count_leg(const Active& active, std::uint32_t endpoint) {
    scheduling::LiveLoad& live = live_[endpoint];
    ++live.requests;
    live.tokens += active.live_tokens;
    live.context_tokens += active.request->prompt_tokens;
  }
  void uncount_leg(const Active& active, std::uint32_t endpoint) {
    --live_[endpoint].requests;
    live_[endpoint].context_tokens -= active.request->prompt_tokens;
  }
  void release_prompt(Active& active, std::optional<TimePoint> computed) {
    if (!std::exchange(active.computing, false)) return;
    live_[active.prefill_at].prompt_left(active.live_tokens, computed);
  }
  void release_tokens(Active& active, std::optional<TimePoint> computed = {}) {
    if (active.prefill_at == kNoEndpoint) return;
    release_prompt(active, computed);
    const std::uint32_t place = std::exchange(active.prefill_at, kNoEndpoint);
    live_[active.choice.decode].tokens -= active.live_tokens;
    if (place == active.choice.decode) return;
    live_[place].tokens -= active.live_tokens;
    uncount_leg(active, place);
  }
  void uncount_live(Active& active) {
    release_tokens(active);
    uncount_leg(active, active.choice.decode);
  }

  void on_submit(std::uint64_t id, std::uint32_t attempt) {
    const auto found = active_.find(id);
    if (found == active_.end() || found->second.attempts != attempt) return;  // it was sent elsewhere meanwhile
    Active& active = found->second;
    const std::uint32_t place = active.prefilling ? active.choice.prefill : active.choice.decode;
    EndpointRun& endpoint = endpoints_[place];
    if (!endpoint.alive) see_down(place);
    const std::uint32_t output = active.prefilling ? 1 : active.output_tokens;
    if (!endpoint.alive) return retry(active);
    if (!endpoint.engine->submit(*active.request, output)) return retry(active, /*refused=*/true);
    start_step(place);
  }

  // `refused`: for want of room, which is no failure of the endpoint's.
  void retry(Active& active, bool refused = false) {
    uncount_live(active);
    tell(active, /*failed=*/true, /*blamed=*/!refused);
    if (active.attempts >= options_.attempts_max) {
      end(active, /*failed=*/true, /*counted=*/false);
      return;
    }
    ++result_.retries;
    decide(active);
  }

  void start_step(std::uint32_t place) {
    EndpointRun& endpoint = endpoints_[place];
    if (endpoint.stepping || !endpoint.alive || !endpoint.engine->busy()) return;
    endpoint.stepping = true;
    endpoint.step_began = now_;
    const Duration work = to_duration(to_seconds(endpoint.engine->begin_step()) * endpoint.slow);
    endpoint.step_ends = std::max(now_, endpoint.paused_until) + work;
    if (cores_) move_ends(cores_->begin(place, work, now_), place);
    look_at_end(place);
  }

  void look_at_end(std::uint32_t place) {
    EndpointRun& endpoint = endpoints_[place];
    endpoint.looked_at = endpoint.step_ends;
    push({.at = endpoint.step_ends, .kind = EventKind::kStepEnd, .endpoint = place, .request = endpoint.life});
  }

  // The step at `place` has begun or ended, and these steps have other ends since.
  void move_ends(std::span<const std::uint32_t> moved, std::uint32_t place) {
    for (const std::uint32_t beside : moved) {
      EndpointRun& endpoint = endpoints_[beside];
      endpoint.step_ends = std::max(cores_->ends(beside), endpoint.paused_until);
      if (beside != place && endpoint.step_ends < endpoint.looked_at) look_at_end(beside);
    }
  }

  void leave_core(std::uint32_t place) {
    if (cores_) move_ends(cores_->end(place, now_), place);
  }

  void on_step_end(std::uint32_t place, std::uint64_t life) {
    EndpointRun& endpoint = endpoints_[place];
    if (!endpoint.alive || life != endpoint.life) return;
    if (!endpoint.stepping || now_ != endpoint.looked_at) return;
    if (endpoint.step_ends > now_) return look_at_end(place);  // it was paused meanwhile, or had to share
    endpoint.stepping = false;
    leave_core(place);
    endpoint.busy += now_ - endpoint.step_began;
    ++result_.steps;
    const Duration within = std::min(now_, window_end()) - std::max(endpoint.step_began, window_begin());
    result_.busy_s[place] += to_seconds(std::max(Duration{}, within));
    for (const EngineEvent& event : endpoint.engine->end_step(now_ - endpoint.step_began)) on_engine_event(event);
    if (policy_.wants_block_events()) tell_blocks(place);
    start_step(place);
  }

  void tell_blocks(std::uint32_t place) {
    for (const BlockChange& change : endpoints_[place].engine->take_block_changes()) {
      if (change.stored) {
        policy_.block_stored(place, change.block);
      } else {
        policy_.block_removed(place, change.block);
      }
    }
  }

  void on_engine_event(const EngineEvent& event) {
    const auto found = active_.find(event.request);
    if (found == active_.end()) return;
    Active& active = found->second;
    if (active.prefilling) {
      if (!event.finished) return;
      active.cached_tokens = event.cached_tokens;
      release_prompt(active, now_);
      active.prefilled = now_;
      push({.at = now_ + to_duration(transfer_s(active)),
            .kind = EventKind::kTransferred,
            .endpoint = active.attempts,
            .request = event.request});
      return;
    }
    if (event.first_token) {
      active.first_token = now_ + to_duration(options_.profile.stream_s);
      if (!active.prefilled_apart) active.cached_tokens = event.cached_tokens;
      release_tokens(active, now_);
    }
    if (event.finished) end(active, /*failed=*/false);
  }

  // Racks are told apart by the endpoint's place: links within one are the profile's, others `far_links` as slow.
  [[nodiscard]] bool far(std::uint32_t from, std::uint32_t to) const {
    return from % options_.racks != to % options_.racks;
  }
  [[nodiscard]] double transfer_s(const Active& active) const {
    const HardwareProfile& profile = options_.profile;
    const SimRequest& request = *active.request;
    const std::uint32_t held = endpoints_[active.choice.decode].engine->held_tokens(request);
    const double bytes = (request.prompt_tokens - std::min(held, request.prompt_tokens)) * profile.kv_bytes_per_token;
    const double slowness = far(active.choice.prefill, active.choice.decode) ? options_.far_links : 1.0;
    return profile.transfer_latency_s + slowness * bytes / profile.transfer_bytes_per_s;
  }
  // What a fleet's monitoring would have measured.
  void measure_links() {
    if (options_.racks <= 1) return;
    std::vector<LinkTable::Entry> links;
    for (std::uint32_t from = 0; from < options_.endpoints; ++from) {
      for (std::uint32_t to = 0; to < options_.endpoints; ++to) {
        const double bytes_per_s = options_.profile.transfer_bytes_per_s / (far(from, to) ? options_.far_links : 1.0);
        links.push_back({.from = snapshot_.endpoints[from].endpoint->name,
                         .to = snapshot_.endpoints[to].endpoint->name,
                         .link = {.bandwidth_mbps = {static_cast<float>(bytes_per_s / 1e6), TimePoint::max()}}});
      }
    }
    snapshot_.links = std::make_shared<const LinkTable>(std::move(links));
  }

  void on_transferred(std::uint64_t id, std::uint32_t attempt) {
    const auto found = active_.find(id);
    if (found == active_.end() || found->second.attempts != attempt) return;
    Active& active = found->second;
    active.prefilling = false;
    active.prefilled_apart = true;
    EndpointRun& decode = endpoints_[active.choice.decode];
    if (!decode.alive) see_down(active.choice.decode);
    if (!decode.alive) return retry(active);
    decode.engine->import_blocks(*active.request, active.request->prompt_tokens);
    if (!decode.engine->submit(*active.request, active.output_tokens)) return retry(active, /*refused=*/true);
    start_step(active.choice.decode);
  }

  void record(const Active& active, bool failed) {
    const SimRequest& request = *active.request;
    if (!failed && now_ >= window_begin() && now_ < window_end()) result_.output_tokens += active.output_tokens;
    if (!measured(active)) return;
    RequestResult& out = result_.requests.emplace_back();
    out.id = request.id;
    const TimePoint ended = now_ + to_duration(options_.profile.stream_s);
    if (!failed) {
      out.ttft_ms = static_cast<float>(to_milliseconds(active.first_token - active.arrived));
      out.total_ms = static_cast<float>(to_milliseconds(ended - active.arrived));
      if (active.output_tokens > 1)
        out.tpot_ms = static_cast<float>(to_milliseconds(ended - active.first_token)) /
                      static_cast<float>(active.output_tokens - 1);
      last_end_ = std::max(last_end_, ended);
    }
    out.prompt_tokens = request.prompt_tokens;
    out.cached_tokens = active.cached_tokens;
    out.output_tokens = active.output_tokens;
    out.endpoint = static_cast<std::uint16_t>(active.choice.decode);
    out.tenant = static_cast<std::uint16_t>(request.tenant);
    out.priority = static_cast<std::int16_t>(request.priority);
    out.failed = failed;
    out.prefilled_apart = active.prefilled_apart;
    out.slo_ttft_ms = request.slo_ttft_ms.value_or(0.0F);
    out.slo_tpot_ms = request.slo_tpot_ms.value_or(0.0F);
  }

  void tell(const Active& active, bool failed, bool blamed = true) {
    const SimRequest& request = *active.request;
    PolicyOutcome outcome{.id = request.id,
                          .failed = failed,
                          .endpoint = active.choice.decode,
                          .prefilled_apart = active.prefilled_apart,
                          .attempts = active.attempts,
                          .prompt_tokens = request.prompt_tokens,
                          .cached_tokens = active.cached_tokens,
                          .output_tokens = active.output_tokens};
    if (!failed) {
      outcome.ttft = active.first_token - active.dispatched;
      if (active.prefilled_apart) outcome.prefill = active.prefilled - active.dispatched;
      if (active.output_tokens > 1) outcome.tpot = (now_ - active.first_token) / (active.output_tokens - 1);
    }
    policy_.finished(outcome, now_);
    if (failed && active.prefilling) outcome.endpoint = active.choice.prefill;  // it is the one to blame
    if (!failed || blamed) outliers_->ended(outcome, active.expected, active.sent_at, now_);
  }

  void end(Active& active, bool failed, bool counted = true) {
    if (counted && active.choice.decode != kNoEndpoint) uncount_live(active);
    record(active, failed);
    if (measured(active)) --measured_active_;
    const SimRequest& request = *active.request;
    if (flow_ != nullptr) flow_->finished(request, failed ? 0 : active.output_tokens, now_);
    if (active.choice.decode != kNoEndpoint && counted) tell(active, failed);
    if (request.next_turn != nullptr && !failed) {
      const std::uint64_t turn = ++turn_;
      push({.at = now_ + request.next_turn->arrival, .kind = EventKind::kArrival, .request = turn});
      turns_.emplace(turn, request.next_turn);
    }
    active_.erase(request.id);
  }

  void on_scrape() {
    Readings& readings = readings_.emplace_back(Readings{.at = now_, .loads = {}});
    const bool within = now_ >= window_begin() && now_ < window_end();
    if (within) ++scrapes_measured_;
    for (std::uint32_t i = 0; i < endpoints_.size(); ++i) {
      const EndpointRun& endpoint = endpoints_[i];
      const EngineLoadView load = endpoint.engine->load();
      const bool answers = endpoint.alive && endpoint.paused_until <= now_;
      readings.loads.push_back(answers ? std::optional{load} : std::nullopt);
      if (within) result_.load[i] += load.running + load.waiting;
      result_.running_peak = std::max(result_.running_peak, load.running);
      result_.waiting_peak = std::max(result_.waiting_peak, load.waiting);
      result_.kv_usage_peak = std::max(result_.kv_usage_peak, load.kv_usage);
    }
    push({.at = now_ + options_.scrape_delay, .kind = EventKind::kReadings});
    push({.at = now_ + options_.scrape_interval, .kind = EventKind::kScrape});
  }

  void change_roles() {
    if (!roles_) return;
    const auto changed = roles_->look(snapshot_, [this](std::size_t i) { return requests_at(i); }, now_);
    if (changed) outliers_->lost(*changed, snapshot_, now_, result_.share_changes);  // its peers are others now
  }

  [[nodiscard]] std::uint32_t requests_at(std::size_t place) const {
    const EngineLoadView load = endpoints_[place].engine->load();
    return load.running + load.waiting;
  }

  void on_sample() {
    samples_.clear();
    for (std::uint32_t i = 0; i < endpoints_.size(); ++i) {
      EndpointRun& endpoint = endpoints_[i];
      const Duration busy = endpoint.busy + (endpoint.stepping ? now_ - endpoint.step_began : Duration{});
      const double share = to_seconds(busy - endpoint.busy_sampled) / to_seconds(options_.load_interval);
      samples_.push_back({.requests = live_[i].requests, .tokens = live_[i].tokens, .busy = std::max(0.0, share)});
      endpoint.busy_sampled = busy;
    }
    options_.load_sampler->sample(now_ - kStart, samples_);
    push({.at = now_ + options_.load_interval, .kind = EventKind::kSample});
  }

  void on_readings() {
    change_roles();
    const Readings readings = std::move(readings_.front());
    readings_.pop_front();
    ++snapshot_.version;
    snapshot_.taken_at = readings.at;
    for (std::uint32_t i = 0; i < endpoints_.size(); ++i) {
      if (!endpoints_[i].alive) see_down(i);
      if (!endpoints_[i].alive || !readings.loads[i]) continue;  // no answer: what was read before grows old
      const EngineLoadView& load = *readings.loads[i];
      EndpointState& state = snapshot_.endpoints[i];
      state.health = EndpointHealth::kReady;
      state.waiting_requests = {load.waiting, readings.at};
      state.running_requests = {load.running, readings.at};
      state.kv_usage = {load.kv_usage, readings.at};
      state.kv_block_tokens = {workload_.block_tokens(), readings.at};
      state.kv_blocks = {options_.profile.store_tokens / workload_.block_tokens(), readings.at};
      outliers_->on_readings(i, state, live_[i].requests, readings.at);
    }
    outliers_->look(snapshot_, now_, result_.share_changes);
  }

  void on_fault(const Fault& fault) {
    EndpointRun& endpoint = endpoints_[fault.endpoint];
    switch (fault.kind) {
      case Fault::Kind::kDies: die(fault.endpoint); return;
      case Fault::Kind::kRestarts:
        die(fault.endpoint);
        push({.at = now_ + to_duration(options_.profile.start_s),
              .kind = EventKind::kServes,
              .endpoint = fault.endpoint,
              .request = ++endpoint.life});
        return;
      case Fault::Kind::kSlows: endpoint.slow = fault.factor; return;
      case Fault::Kind::kPauses: {
        const TimePoint from = std::max(now_, endpoint.paused_until);
        endpoint.paused_until = std::max(endpoint.paused_until, now_ + fault.duration);
        if (endpoint.stepping) endpoint.step_ends += std::max(Duration{}, endpoint.paused_until - from);
        return;
      }
    }
  }

  void on_serves(std::uint32_t place, std::uint64_t life) {
    EndpointRun& endpoint = endpoints_[place];
    if (endpoint.life != life) return;                                            // it died again before it was up
    if (snapshot_.endpoints[place].health != EndpointHealth::kDown) lose(place);  // nobody saw it go
    endpoint.alive = true;
    endpoint.slow = 1;
    endpoint.paused_until = {};
  }

  // The gateway has met the endpoint's death: a connection was cut or refused, or a scrape had no answer.
  void see_down(std::uint32_t place) {
    if (std::exchange(snapshot_.endpoints[place].health, EndpointHealth::kDown) == EndpointHealth::kDown) return;
    lose(place);
  }
  void lose(std::uint32_t place) {
    policy_.endpoint_lost(place);
    outliers_->lost(place, snapshot_, now_, result_.share_changes);
  }

  void die(std::uint32_t place) {
    EndpointRun& endpoint = endpoints_[place];
    ++endpoint.life;
    if (!std::exchange(endpoint.alive, false)) return;
    endpoint.stepping = false;
    leave_core(place);
    endpoint.engine->restart();
    std::vector<std::uint64_t> cut;
    for (const auto& [id, active] : active_) {
      const bool here = active.prefilling ? active.choice.prefill == place : active.choice.decode == place;
      if (here) cut.push_back(id);
    }
    if (cut.empty()) return;
    see_down(place);
    std::ranges::sort(cut);  // the map's order is not the same everywhere
    for (const std::uint64_t id : cut) {
      Active& active = active_.at(id);
      if (active.first_token == TimePoint{}) {
        retry(active);
      } else {
        end(active, /*failed=*/true);
      }
    }
  }

  const FleetOptions& options_;
  std::optional<RoleChanges> roles_;  // none: they stay
  std::optional<SharedCores> cores_;  // none: each has its own
  Workload& workload_;
  Policy& policy_;
  FlowControl* flow_;  // null: none
  Rng rng_;
  FleetResult result_;
  EndpointSnapshot snapshot_;
  std::optional<FleetOutliers> outliers_;
  std::vector<EndpointRun> endpoints_;
  std::vector<scheduling::LiveLoad> live_;
  RequestFacts facts_;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  std::unordered_map<std::uint64_t, Active> active_;
  std::unordered_map<std::uint64_t, std::shared_ptr<const SimRequest>> turns_;
  std::shared_ptr<const SimRequest> arrival_;  // the next session's
  std::uint64_t taken_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t turn_ = 0;
  std::vector<FlowControl::Leaving> leaving_;  // scratch
  std::optional<TimePoint> flow_event_;        // the one that is pending
  TimePoint now_ = kStart;
  std::deque<Readings> readings_;
  std::vector<LoadSample> samples_;
  std::uint64_t scrapes_measured_ = 0;
  std::uint64_t measured_active_ = 0;
  std::uint64_t asked_ = 0;  // decisions that the oracle may be asked about
  TimePoint last_end_ = kStart;
};

}  // namespace

FleetResult run_fleet(const FleetOptions& options, Workload& workload, Policy& policy, FlowControl* flow) {
  return Run{options, workload, policy, flow}.run();
}

}  // namespace llmd::simulation
