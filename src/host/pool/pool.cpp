#include "pool/pool.h"

#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "health/endpoint_monitor.h"
#include "health/outlier_detector.h"
#include "health/signal_keeper.h"
#include "model/peer_class.h"
#include "pool/view_buffers.h"

namespace llmd::pool {

InFlight::InFlight(std::shared_ptr<InFlightCounters> counters, LoadTokens tokens, TimePoint now) noexcept
    : counters_{std::move(counters)}, tokens_{tokens}, prefilling_{counters_ != nullptr && tokens.prefill > 0} {
  if (counters_ == nullptr) return;
  counters_->requests.fetch_add(1, std::memory_order_relaxed);
  counters_->tokens.fetch_add(tokens_.prompt + tokens_.output, std::memory_order_relaxed);
  counters_->context_tokens.fetch_add(tokens_.context, std::memory_order_relaxed);
  if (!prefilling_) return;
  if (counters_->prefilling.fetch_add(1, std::memory_order_relaxed) == 0) begin_prompt(tokens_.prefill, now);
  counters_->prefill_tokens.fetch_add(tokens_.prefill, std::memory_order_relaxed);
}

InFlight::InFlight(InFlight&& other) noexcept
    : counters_{std::move(other.counters_)},
      tokens_{std::exchange(other.tokens_, {})},
      prefilling_{std::exchange(other.prefilling_, false)} {}

InFlight& InFlight::operator=(InFlight&& other) noexcept {
  std::swap(counters_, other.counters_);
  std::swap(tokens_, other.tokens_);
  std::swap(prefilling_, other.prefilling_);
  return *this;
}

void InFlight::prompt_computed(TimePoint now) noexcept {
  const bool here = prefilling_;
  release_prompt();
  if (!here) return;
  const std::uint32_t left = counters_->prefilling.load(std::memory_order_relaxed);
  if (left > 0) begin_prompt(counters_->prefill_tokens.load(std::memory_order_relaxed) / left, now);
}

void InFlight::begin_prompt(std::uint64_t tokens, TimePoint now) noexcept {
  counters_->prefill_head.store(tokens, std::memory_order_relaxed);
  counters_->prefill_since.store(now, std::memory_order_relaxed);
}

void InFlight::release_prompt() noexcept {
  if (counters_ == nullptr) return;
  counters_->tokens.fetch_sub(std::exchange(tokens_.prompt, 0), std::memory_order_relaxed);
  if (!std::exchange(prefilling_, false)) return;
  counters_->prefilling.fetch_sub(1, std::memory_order_relaxed);
  counters_->prefill_tokens.fetch_sub(tokens_.prefill, std::memory_order_relaxed);
  if (counters_->prefill_head.load(std::memory_order_relaxed) == tokens_.prefill)
    counters_->prefill_head.store(0, std::memory_order_relaxed);  // prompt_computed() says which one is next
}

void InFlight::end() noexcept {
  if (counters_ == nullptr) return;
  release_prompt();
  counters_->tokens.fetch_sub(std::exchange(tokens_.output, 0), std::memory_order_relaxed);
  counters_->context_tokens.fetch_sub(tokens_.context, std::memory_order_relaxed);
  counters_->requests.fetch_sub(1, std::memory_order_relaxed);
  counters_.reset();
}

namespace {

constexpr std::size_t kAnomaliesMax = 1'024;

/// A role that was given at run time, and the one that it takes the place of.
struct ChangedRole {
  std::string put;  // empty: no label
  std::string now;
};

std::string role_of(const Endpoint& endpoint) {
  const auto label = endpoint.labels.find(std::string{kRoleLabel});
  return label == endpoint.labels.end() ? std::string{} : label->second;
}

bool may_serve(EndpointHealth health) noexcept {
  using enum EndpointHealth;
  return health == kReady || health == kProbing || health == kUnknown;
}

/// Live counters, side by side: a decision reads all, and memory comes in order faster than from everywhere. A block is
/// freed once the last endpoint and the last request of its 64 are gone.
class CounterBlocks {
 public:
  [[nodiscard]] std::shared_ptr<InFlightCounters> next() {
    if (given_ == kBlock) {
      block_ = std::make_shared<std::array<InFlightCounters, kBlock>>();
      given_ = 0;
    }
    return {block_, &(*block_)[given_++]};
  }

 private:
  static constexpr std::size_t kBlock = 64;
  std::shared_ptr<std::array<InFlightCounters, kBlock>> block_;
  std::size_t given_ = kBlock;
};

struct Record {
  std::size_t place = 0;  // in views
  EndpointReport report;
  health::OutlierMember outlier;
  health::FlatReadings flats;
  health::EndpointMonitor monitor{{}};
  health::SignalKeeper signals;
  std::optional<ChangedRole> role;  // none: as it was put
  bool drained = false;             // by us
  bool not_ready = false;           // it says so itself
  std::shared_ptr<InFlightCounters> in_flight{};

  void apply_draining() { monitor.set_draining(drained || not_ready); }
  void set_endpoint(Endpoint endpoint) {
    outlier.set_peer_class(xxh64(peer_class(endpoint)));
    report.state.endpoint = std::make_shared<const Endpoint>(std::move(endpoint));
  }
  /// When time alone makes its health another.
  [[nodiscard]] TimePoint judged_until(TimePoint now) const noexcept {
    const health::CircuitBreaker& breaker = monitor.breaker();
    return breaker.state(now) == health::BreakerState::kOpen ? breaker.open_until() : TimePoint::max();
  }
  void judge(TimePoint now) {
    const auto verdict = monitor.verdict(now);
    report.state.health = verdict.health;
    report.reason = verdict.reason;
  }
  void on_readiness(Probe::Readiness readiness, TimePoint now) {
    using enum Probe::Readiness;
    switch (readiness) {
      case kNotAsked: return;
      case kSilent: monitor.on_contact(health::ContactResult::kTimeout, now); return;
      case kRefused: monitor.on_contact(health::ContactResult::kRefused, now); return;
      case kReady:
      case kNotReady:
        not_ready = readiness == kNotReady;
        signals.on_ready(!not_ready, now);
        apply_draining();
        monitor.on_contact(health::ContactResult::kAnswered, now);
        return;
    }
  }
};

health::SignalSample sample_of(const EngineReadings& readings, std::optional<Duration> round_trip) {
  return {.prefix_query_tokens = readings.prefix_query_tokens,
          .prefix_hit_tokens = readings.prefix_hit_tokens,
          .queued_tokens = readings.queued_tokens,
          .decode_tokens_left = readings.decode_tokens_left,
          .cpu_use = readings.cpu_use,
          .memory_use = readings.memory_use,
          .round_trip = round_trip};
}

template <class T>
void read_into(Reading<T>& reading, const std::optional<T>& value, TimePoint now) {
  if (value) reading = {.value = value, .at = now};
}

}  // namespace

struct Pool::Impl {
  explicit Impl(PoolOptions with) : options{with}, detector{with.outliers} {}

  void put(Endpoint endpoint, TimePoint now) {
    auto& record = records[endpoint.name];
    const auto& old = record.report.state.endpoint;
    if (old != nullptr && old->url == endpoint.url) {
      if (!old->models.empty()) endpoint.models = old->models;
      if (record.role && record.role->put != role_of(endpoint)) record.role.reset();
      if (record.role) endpoint.labels[std::string{kRoleLabel}] = record.role->now;
      record.drained = false;
      record.apply_draining();
    } else {
      forget_anomalies(endpoint.name, record);
      record = Record{};
      record.in_flight = counters.next();
    }
    record.set_endpoint(std::move(endpoint));
    record.judge(now);
    mark_set();
  }

  /// False: there is none of that name.
  bool remove(std::string_view name) {
    const auto found = records.find(name);
    if (found == records.end()) return false;
    forget_anomalies(found->first, found->second);
    records.erase(found);
    mark_set();
    return urgent = true;
  }

  /// The record's share of traffic is another.
  void note_share(const std::string& name, const Record& record, const TrafficShare& next) {
    const TrafficShare& before = record.report.state.traffic;
    if (before.share == next.share || anomalies.shares.size() >= kAnomaliesMax) return;
    anomalies.shares.push_back({name, before, next});
  }
  void note_flat(const std::string& name, health::LoadReading reading, bool flat) {
    if (anomalies.flats.size() < kAnomaliesMax) anomalies.flats.push_back({name, reading, flat});
  }
  /// What is known of its outliers' side no longer holds: it is gone, or another process.
  void forget_anomalies(const std::string& name, Record& record) {
    note_share(name, record, {});
    for (std::size_t i = 0; i < health::kLoadReadings; ++i) {
      const auto reading = static_cast<health::LoadReading>(i);
      if (record.flats.flat(reading)) note_flat(name, reading, false);
    }
    const std::uint64_t peer_class = record.outlier.peer_class();
    record.outlier = {};
    record.outlier.set_peer_class(peer_class);
    record.flats = {};
  }

  void watch_flats(Record& record, TimePoint now) {
    if (!options.outliers.enabled) return;
    const health::FlatReadings before = record.flats;
    record.flats.on_scrape(record.report.state, record.in_flight->requests.load(std::memory_order_relaxed), now);
    for (std::size_t i = 0; i < health::kLoadReadings; ++i) {
      const auto reading = static_cast<health::LoadReading>(i);
      if (before.flat(reading) != record.flats.flat(reading))
        note_flat(record.report.state.endpoint->name, reading, record.flats.flat(reading));
    }
  }

  void look_for_outliers(TimePoint now) {
    if (!detector.due(now)) return;
    members.clear();
    for (auto& [name, record] : records) {
      record.outlier.set_serving(may_serve(record.monitor.verdict(now).health));
      members.push_back(&record.outlier);
    }
    if (!detector.look(members, now)) return;
    for (auto& [name, record] : records) {
      if (record.report.state.traffic == record.outlier.share()) continue;
      mark(record);
      urgent = true;
    }
  }

  /// The next view is to show it as it is then.
  void note(const Record& record) {
    if (!set_changed) marks[record.place].changed_in = version + 1;
  }
  /// The same, and that view is made as soon as one may be.
  void mark(const Record& record) {
    note(record);
    dirty = true;
  }
  /// The same; at once if nothing more may be sent there.
  void mark(const Record& record, TimePoint now) {
    mark(record);
    const bool lost = may_serve(record.report.state.health) && !may_serve(record.monitor.verdict(now).health);
    urgent = urgent || lost;
  }
  void mark_set() { set_changed = dirty = true; }

  void give_places() {
    marks.clear();
    for (auto& [name, record] : records) {
      record.place = marks.size();
      marks.push_back({.record = &record, .changed_in = version + 1});
    }
    set_version = version + 1;
    set_changed = false;
  }

  void bring_up_to_date(Record& record, TimePoint now) {
    EndpointState& state = record.report.state;
    record.judge(now);
    state.signals = record.signals.signals();
    note_share(state.endpoint->name, record, record.outlier.share());
    state.traffic = record.outlier.share();
    state.inflight_requests = record.in_flight->requests.load(std::memory_order_relaxed);
    state.inflight_tokens = record.in_flight->tokens.load(std::memory_order_relaxed);
  }

  void rebuild(TimePoint now) {
    look_for_outliers(now);
    if (set_changed) give_places();
    std::unique_ptr<PoolView> next = buffers->take(set_version);
    const std::uint64_t has = next->snapshot.version;
    next->snapshot.version = ++version;
    next->snapshot.taken_at = now;
    next->snapshot.endpoints.resize(marks.size());
    next->in_flight.resize(marks.size());
    for (std::size_t place = 0; place < marks.size(); ++place) {
      Mark& known = marks[place];
      if (known.changed_in == version || now >= known.judged_until) {
        bring_up_to_date(*known.record, now);
        known.changed_in = version;
        known.judged_until = known.record->judged_until(now);
      }
      if (known.changed_in <= has) continue;
      next->snapshot.endpoints[place] = known.record->report.state;
      next->in_flight[place] = known.record->in_flight;
    }
    published = buffers->publish(std::move(next));
    dirty = urgent = false;
  }

  Record* find(std::string_view name) {
    const auto found = records.find(name);
    return found == records.end() ? nullptr : &found->second;
  }

  void changed() {
    std::function<void()> callback;
    {
      const std::scoped_lock lock{mutex};
      callback = on_change;
    }
    if (callback) callback();
  }

  const PoolOptions options;
  mutable std::mutex mutex;  // guards all below
  std::map<std::string, Record, std::less<>> records;
  CounterBlocks counters;
  /// What the next view must do for an endpoint, in the order of views.
  struct Mark {
    Record* record = nullptr;
    std::uint64_t changed_in = 0;  // the first view that shows it as it is
    TimePoint judged_until = TimePoint::max();
  };
  std::vector<Mark> marks;        // of all records, unless set_changed
  std::uint64_t set_version = 0;  // the first view of these records
  std::shared_ptr<ViewBuffers> buffers = std::make_shared<ViewBuffers>();
  std::shared_ptr<const PoolView> published = std::make_shared<const PoolView>();
  health::OutlierDetector detector;
  std::vector<health::OutlierMember*> members;  // scratch
  Anomalies anomalies;
  std::uint64_t version = 0;
  bool set_changed = true;
  bool dirty = true;    // something has changed that a decision should see
  bool urgent = false;  // or must see
  std::function<void()> on_change;
};

Pool::Pool(PoolOptions options) : impl_{std::make_unique<Impl>(options)} {}
Pool::~Pool() = default;

void Pool::set_endpoints(std::vector<Endpoint> endpoints, TimePoint now) {
  {
    const std::scoped_lock lock{impl_->mutex};
    std::map<std::string, Record, std::less<>> kept;
    for (const Endpoint& endpoint : endpoints) {
      if (auto node = impl_->records.extract(endpoint.name)) kept.insert(std::move(node));
    }
    for (auto& [name, gone] : impl_->records) impl_->forget_anomalies(name, gone);
    impl_->urgent = impl_->urgent || !impl_->records.empty();
    impl_->records = std::move(kept);
    for (Endpoint& endpoint : endpoints) impl_->put(std::move(endpoint), now);
    impl_->mark_set();
  }
  impl_->changed();
}

void Pool::put(Endpoint endpoint, TimePoint now) {
  {
    const std::scoped_lock lock{impl_->mutex};
    impl_->put(std::move(endpoint), now);
  }
  impl_->changed();
}

void Pool::remove(std::string_view name) {
  {
    const std::scoped_lock lock{impl_->mutex};
    if (!impl_->remove(name)) return;
  }
  impl_->changed();
}

void Pool::change(const std::vector<std::string>& removed, std::vector<Endpoint> put, TimePoint now) {
  {
    const std::scoped_lock lock{impl_->mutex};
    for (const std::string& name : removed) impl_->remove(name);
    for (Endpoint& endpoint : put) impl_->put(std::move(endpoint), now);
  }
  impl_->changed();
}

void Pool::restart(std::string_view name) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  record->monitor = health::EndpointMonitor{{}};
  record->signals = {};
  impl_->forget_anomalies(std::string{name}, *record);
  record->not_ready = true;
  record->apply_draining();
  const std::shared_ptr<const Endpoint> endpoint = record->report.state.endpoint;
  record->report.state = EndpointState{};
  record->report.state.endpoint = endpoint;
  record->report.readings = {};
  record->report.engine.clear();
  impl_->mark(*record);
  impl_->urgent = true;
}

void Pool::set_role(std::string_view name, std::string_view role) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  Endpoint changed = *record->report.state.endpoint;
  if (!record->role) record->role.emplace(role_of(changed));
  record->role->now = role;
  changed.labels[std::string{kRoleLabel}] = role;
  impl_->forget_anomalies(changed.name, *record);  // its peers are others now
  record->set_endpoint(std::move(changed));
  impl_->mark(*record);
}

void Pool::drain(std::string_view name) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  record->drained = true;
  record->apply_draining();
  impl_->mark(*record);
  impl_->urgent = true;
}

void Pool::on_probe(std::string_view name, Probe probe, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  record->on_readiness(probe.readiness, now);
  EndpointReport& report = record->report;
  ++report.probes;
  if (!probe.error.empty()) ++report.probe_failures;
  report.error = std::move(probe.error);
  if (probe.readings) {
    for (const NamedValue& named : probe.readings->named) record->signals.on_named(named.name, named.value, now);
    if (report.engine != probe.engine) report.engine = probe.engine;
    report.readings = *probe.readings;
    read_into(report.state.waiting_requests, probe.readings->waiting_requests, now);
    read_into(report.state.running_requests, probe.readings->running_requests, now);
    read_into(report.state.kv_usage, probe.readings->kv_usage, now);
    read_into(report.state.kv_block_tokens, probe.readings->kv_block_tokens, now);
    read_into(report.state.kv_blocks, probe.readings->kv_blocks, now);
    impl_->watch_flats(*record, now);
    if (probe.readings->lora != nullptr) report.state.lora = {.value = probe.readings->lora, .at = now};
  }
  record->signals.on_sample(sample_of(probe.readings.value_or(EngineReadings{}), probe.round_trip), now);
  if (probe.models && *probe.models != report.state.endpoint->models) {
    Endpoint endpoint = *report.state.endpoint;
    endpoint.models = std::move(*probe.models);
    record->set_endpoint(std::move(endpoint));
  }
  impl_->mark(*record, now);
  impl_->look_for_outliers(now);  // rather than in a decision's time
}

void Pool::on_node(std::string_view name, const NodeReadings& readings, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  NodeReadings& node = record->report.node;
  const auto keep = [](std::optional<float>& kept, const std::optional<float>& value) {
    if (value) kept = value;
  };
  keep(node.gpu_use, readings.gpu_use);
  keep(node.gpu_memory_use, readings.gpu_memory_use);
  keep(node.cpu_use, readings.cpu_use);
  keep(node.memory_use, readings.memory_use);
  keep(node.bandwidth_mbps, readings.bandwidth_mbps);
  keep(node.packet_loss, readings.packet_loss);
  const bool has_gpu_memory = node.gpu_memory_use.has_value();
  record->signals.on_sample({.cpu_use = readings.cpu_use,
                             .gpu_use = readings.gpu_use,
                             .memory_use = has_gpu_memory ? readings.gpu_memory_use : readings.memory_use,
                             .bandwidth_mbps = readings.bandwidth_mbps,
                             .packet_loss = readings.packet_loss},
                            now);
  impl_->mark(*record, now);
}

void Pool::on_first_byte(std::string_view name, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  record->monitor.on_request_success(now);
  if (record->monitor.verdict(now).health != record->report.state.health) impl_->mark(*record);
}

void Pool::on_request_success(std::string_view name, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  record->monitor.on_request_success(now);
  record->signals.on_request(/*failed=*/false, now);
  record->outlier.on_ended(/*failed=*/false, impl_->options.outliers, now);
  record->flats.on_ended();
  impl_->note(*record);
  if (record->monitor.verdict(now).health != record->report.state.health) impl_->mark(*record);
}

void Pool::on_latency(std::string_view name, const health::LatencySample& sample, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record != nullptr) record->outlier.on_latency(sample, now);
}

void Pool::on_request_failure(std::string_view name, health::FailureKind kind, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return;
  record->monitor.on_request_failure(kind, now);
  record->signals.on_request(/*failed=*/true, now);
  record->outlier.on_ended(/*failed=*/true, impl_->options.outliers, now);
  record->flats.on_ended();
  impl_->mark(*record, now);
}

std::shared_ptr<const PoolView> Pool::view(TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  const Duration age = now - impl_->published->snapshot.taken_at;
  const bool due = impl_->dirty ? age >= impl_->options.publish_interval : age >= impl_->options.refresh_interval;
  if (due || impl_->urgent || impl_->version == 0) impl_->rebuild(now);
  return impl_->published;
}

std::string Pool::engine_of(std::string_view name) const {
  const std::scoped_lock lock{impl_->mutex};
  const Record* record = impl_->find(name);
  return record == nullptr ? std::string{} : record->report.engine;
}

InFlight Pool::begin_request(std::string_view name, LoadTokens tokens, TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  Record* record = impl_->find(name);
  if (record == nullptr) return {};
  if (record->outlier.reduced()) {
    record->outlier.on_sent(impl_->options.outliers, now);
    impl_->mark(*record);  // it may have been the probe
  }
  return InFlight{record->in_flight, tokens, now};
}

Anomalies Pool::take_anomalies() {
  const std::scoped_lock lock{impl_->mutex};
  return std::exchange(impl_->anomalies, {});
}

std::vector<EndpointReport> Pool::report(TimePoint now) {
  const std::scoped_lock lock{impl_->mutex};
  for (Impl::Mark& mark : impl_->marks) mark.changed_in = impl_->version + 1;  // of what is in flight nobody tells
  impl_->rebuild(now);
  std::vector<EndpointReport> reports;
  reports.reserve(impl_->records.size());
  for (const auto& [name, record] : impl_->records) reports.push_back(record.report);
  return reports;
}

std::vector<std::shared_ptr<const Endpoint>> Pool::endpoints() const {
  const std::scoped_lock lock{impl_->mutex};
  std::vector<std::shared_ptr<const Endpoint>> list;
  for (const auto& [name, record] : impl_->records) list.push_back(record.report.state.endpoint);
  return list;
}

void Pool::on_change(std::function<void()> callback) {
  const std::scoped_lock lock{impl_->mutex};
  impl_->on_change = std::move(callback);
}

}  // namespace llmd::pool
