#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "eppmetrics/flow_metrics.h"
#include "eppmetrics/program_metrics.h"
#include "flow/eviction_planner.h"
#include "flow/flow_controller.h"
#include "flow/saturation_gate.h"
#include "pool/pool.h"
#include "runtime/event.h"
#include "runtime/loop.h"
#include "scheduling/config.h"

namespace llmd::routing {

/// A request that asks to be let through.
struct FlowRequest {
  std::string fairness_id{};
  std::string model{};
  std::string target_model{};  // what the engine calls it, for metrics; empty: the same
  std::int32_t priority = 0;
  std::uint64_t bytes = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t uncached_tokens = 0;
  TimePoint received{};
  std::optional<Duration> ttft_objective{};
};

/// What a FlowStrand goes by, made from a configuration before it is put in force.
struct FlowParts {
  bool enabled = false;  // the feature gate; without it nothing waits
  /// Without the gate: requests of negative priority are refused while the endpoints are full, as in llm-d.
  bool sheds = false;
  bool evicts = false;
  flow::FlowRules rules;
  flow::SaturationGate gate;
  std::shared_ptr<const std::vector<std::string>> session_headers;  // of fairness_id_of(); never null
};
/// Error kConfigInvalid.
[[nodiscard]] Result<FlowParts> make_flow_parts(const flow::FlowConfig& flow,
                                                const scheduling::SchedulingConfig& config);

class FlowStrand;

/// One request's stay in flow control, from enter() until its answer has ended. On the loop that it came from; goes
/// with the last reference. However it ends, what it held is given back then.
class FlowPass : public std::enable_shared_from_this<FlowPass> {
 public:
  FlowPass(FlowStrand& strand, Loop& loop, FlowRequest request)
      : strand_{strand}, loop_{loop}, request_{std::move(request)}, ready_{loop} {}
  ~FlowPass();
  FlowPass(const FlowPass&) = delete;
  FlowPass& operator=(const FlowPass&) = delete;

  /// Until it is known whether the request may go: at most its time to live. Holds no thread.
  [[nodiscard]] Task<flow::Outcome> outcome();
  /// The client left while the request waits: outcome() ends with kEvictedCancelled.
  void cancel();
  /// What the client is answered. Pre: outcome() was not kDispatched.
  [[nodiscard]] Error error() const;
  [[nodiscard]] std::uint32_t retry_after_s() const noexcept { return departure_.retry_after_s; }
  /// llm-d's x-llm-d-request-dropped-reason; empty: the header is not sent.
  [[nodiscard]] std::string_view dropped_reason() const noexcept {
    return shed_ ? std::string_view{} : flow::dropped_reason(departure_.outcome);
  }
  [[nodiscard]] Duration waited() const noexcept { return departure_.waited; }

  /// The pool's live counters count the request from now on. Pre: they do; one that is not sent is finished instead.
  void decided();
  /// Its answer has ended, with so many tokens; once.
  void finish(std::uint32_t output_tokens);
  /// `evict` is called on the loop if the request is to make room for others: at once if that was asked already. Empty:
  /// not any more.
  void on_evict(std::function<void()> evict);

 private:
  friend class FlowStrand;
  void settle(const flow::Departure& departure);
  void evict();

  FlowStrand& strand_;
  Loop& loop_;
  const FlowRequest request_;
  Event ready_;
  flow::Departure departure_;
  std::string refusal_{};  // which limit and by how much; of one that never waited
  bool shed_ = false;      // refused without flow control
  std::function<void()> evict_{};
  bool evict_wanted_ = false;  // before there was an `evict_`
  // Set by the strand, under its mutex, until the pass is settled:
  eppmetrics::FlowMetrics::Series* series_ = nullptr;
  std::uint64_t id_ = 0;
  flow::Ticket ticket_{};
  bool undecided_ = false;  // was let through, and not counted by the pool yet
  bool running_ = false;    // was let through by flow control, and has not ended
};

/// Flow control for all loops of a process: requests of every loop wait here and are told on their own loop when they
/// may go. One request at a time changes it, under a mutex held for some microseconds: those that may go at once need
/// no other thread. It looks again when a request ends, when one comes, and every kLook while some wait. Thread-safe.
/// Its home loop runs run(). It is closed before the loops are discarded, and outlives what they held.
class FlowStrand {
 public:
  static constexpr Duration kLook = milliseconds{5};

  /// `pool_name` is the label of its metrics; llm-d's "epp" is that of a pool that is none of Kubernetes'.
  FlowStrand(Loop& home, pool::Pool& pool, FlowParts parts, MetricsRegistry& metrics, std::uint64_t seed,
             std::string pool_name = "epp");
  FlowStrand(const FlowStrand&) = delete;
  FlowStrand& operator=(const FlowStrand&) = delete;

  /// On `loop`: the request waits from now on, if it must. Never null.
  [[nodiscard]] std::shared_ptr<FlowPass> enter(Loop& loop, FlowRequest request);
  /// On the home loop, until close().
  [[nodiscard]] Task<void> run();
  /// Another configuration: what waits stays and goes by it; all of it goes if nothing waits any more.
  void set_parts(FlowParts parts);
  /// The server stops: what waits is answered so, and so is what comes.
  void close();

  [[nodiscard]] bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t waiting() const;
  [[nodiscard]] std::shared_ptr<const std::vector<std::string>> session_headers() const;

 private:
  friend class FlowPass;
  using Leaving = std::vector<std::pair<std::shared_ptr<FlowPass>, flow::Departure>>;

  void cancel(FlowPass& pass);
  void end(FlowPass& pass, std::uint32_t output_tokens);
  // With the mutex held:
  void admit(FlowPass& pass, Leaving& leaving, TimePoint now);
  void admit_without_waiting(FlowPass& pass, TimePoint now);
  void pump(Leaving& leaving, TimePoint now);
  void take_out(std::vector<flow::Departure>& departures, Leaving& leaving, TimePoint now);
  void make_room(TimePoint now);
  [[nodiscard]] const flow::GateReading& read_gate(TimePoint now);
  // Without it:
  void tell(Leaving& leaving, const FlowPass* own);
  void look();

  Loop& home_;
  pool::Pool& pool_;
  eppmetrics::FlowMetrics metrics_;
  eppmetrics::ProgramMetrics programs_;
  Event wake_;  // of run()
  std::atomic<bool> enabled_{false};
  std::atomic<bool> closed_{false};
  mutable std::mutex mutex_;  // guards all below
  FlowParts parts_;           // its rules are the controller's
  flow::FlowController controller_;
  flow::EvictionPlanner planner_;
  std::unordered_map<std::uint64_t, std::shared_ptr<FlowPass>> waiting_;  // by id
  std::unordered_map<std::uint64_t, std::weak_ptr<FlowPass>> evictable_;  // running ones of negative priority
  std::vector<flow::Departure> departures_;                               // scratch
  std::vector<scheduling::LiveLoad> live_;                                // scratch
  flow::GateReading reading_;
  TimePoint read_at_{};
  TimePoint gauges_at_{};
  std::uint64_t undecided_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace llmd::routing
