#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "flow/band.h"
#include "flow/drain_rate.h"
#include "flow/gate_reading.h"
#include "flow/item.h"
#include "flow/item_store.h"
#include "flow/rules.h"

namespace llmd::flow {

/// A request that was let through has ended.
struct Finished {
  std::int32_t band = 0;           // Departure::band
  std::string_view fairness_id{};  // as enqueued
  Charge charge{};                 // its prompt, and Departure::output_tokens_expected
  std::uint32_t output_tokens = 0;
};

/// Who waits, and who goes next: bands by priority, in a band the flow that the fairness policy picks, of a flow the
/// request that the ordering policy puts first. Full bands refuse, and what waits too long leaves. Requests wait here
/// as numbers only; the host holds them. The usage limit ranks the bands that the configuration lists, and those only:
/// another band has the ceiling of the listed one below it, or of the lowest, so that no client changes a ceiling by
/// the priorities that it invents. If none is listed, all have the ceiling of a band alone. Pure: time and saturation
/// are told. Not thread-safe. Cost: O(bands + log flows + log requests) for each request that comes or goes, 150 bytes
/// a request and about 250 a flow.
class FlowController {
 public:
  /// Bands of priorities that no configuration lists, at most. Beyond it their requests join the nearest band below,
  /// or the lowest.
  static constexpr std::size_t kOtherBandsMax = 64;
  static constexpr Duration kOtherBandIdleMax = std::chrono::minutes{10};  // llm-d's; then it is forgotten
  static constexpr std::size_t kStepMax = 1'024;                           // dispatches in one step

  /// `seed` is of tables that clients must not aim at.
  explicit FlowController(FlowRules rules, std::uint64_t seed = 0);

  /// The request waits from now on, or may not. Pre: time does not go back.
  [[nodiscard]] std::expected<Ticket, Rejection> enqueue(const FlowItem& item, TimePoint now);
  /// Lets go what has waited too long, then dispatches until the gate closes, the queue is empty or kStepMax are out;
  /// nothing if the pool is empty.
  /// Each dispatch counts as `per_request` more saturation. Appends to `out`; how many it dispatched: if kStepMax, call
  /// it again.
  std::size_t step(const GateReading& gate, TimePoint now, std::vector<Departure>& out);
  /// The client has left. Nothing if the request does not wait any more.
  std::optional<Departure> cancel(Ticket ticket, TimePoint now);
  /// All leave: the server stops.
  void drain(TimePoint now, std::vector<Departure>& out);
  void finish(const Finished& finished, TimePoint now);

  /// Other rules from now on. All that waits stays, in its order of arrival, even beyond new limits. Bands whose
  /// policies are as before keep what they remember of their flows.
  void reconfigure(FlowRules rules, TimePoint now);

  /// When the next request will have waited too long, as things are. Nothing: none will.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  [[nodiscard]] std::uint64_t waiting() const noexcept { return items_.size(); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Band>>& bands() const noexcept { return bands_; }  // highest first
  [[nodiscard]] const FlowRules& rules() const noexcept { return rules_; }
  /// The tokens that a flow got of late, over all bands with program-aware fairness. Nothing if `band` is none of them.
  [[nodiscard]] std::optional<double> attained_service(std::int32_t band, std::string_view fairness_id,
                                                       TimePoint now) const;
  /// The highest band that has requests although the gate is closed for it, and its ceiling; as of the last step.
  struct Blocked {
    std::int32_t priority = 0;
    float ceiling = 1;
  };
  [[nodiscard]] const std::optional<Blocked>& blocked() const noexcept { return blocked_; }
  /// For tests. O(requests).
  [[nodiscard]] bool check_integrity() const;

 private:
  [[nodiscard]] Band& band_for(std::int32_t priority, TimePoint now);
  [[nodiscard]] BandRules rules_for(std::int32_t priority) const;
  [[nodiscard]] std::optional<Rejection> refusal(const Band& band, std::uint64_t bytes, TimePoint now) const;
  [[nodiscard]] std::optional<TimePoint> deadline_of(const Item& item) const;
  void set_regime(bool pool_empty, TimePoint now);
  void expire(TimePoint now, std::vector<Departure>& out);
  void forget_bands(TimePoint now);
  void rank_bands();
  [[nodiscard]] Band* next_band(float saturation, TimePoint now);
  Departure take(ItemIndex index, Outcome outcome, TimePoint now);

  FlowRules rules_;
  const std::uint64_t seed_;
  ItemStore items_;
  std::vector<std::unique_ptr<Band>> bands_;  // highest first
  std::vector<std::int32_t> priorities_;      // of bands_
  std::vector<std::int32_t> ranked_;          // of the listed bands, or 0 for all
  std::vector<float> ceilings_;               // scratch, of ranked_
  std::uint64_t bytes_ = 0;
  std::uint64_t sequence_ = 0;
  bool pool_empty_ = false;
  TimePoint regime_since_{};
  bool lower_went_ = false;  // the last dispatch was of a band that had been passed over for too long
  std::optional<Blocked> blocked_;
  DrainRate drain_;
};

}  // namespace llmd::flow
