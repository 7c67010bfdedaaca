#pragma once

#include <cstdint>

#include "base/clock.h"
#include "health/outlier_evidence.h"
#include "health/outlier_options.h"
#include "model/traffic_share.h"

namespace llmd::health {

/// What a look at an endpoint among its peers says.
struct OutlierFinding {
  enum class Verdict : std::uint8_t {
    kUnknown,  // too few observations, of it or of peers
    kLike,     // like its peers
    kBetween,  // worse than they are, but no outlier
    kOutlier,
  };
  Verdict verdict = Verdict::kUnknown;
  TrafficShare::Cause cause = TrafficShare::Cause::kNone;
  float observed = 0;  // as TrafficShare has it
  float severity = 0;  // orders outliers of either cause
};

/// One endpoint as the detector knows it: evidence, and the state machine of its share. The share goes 1, 1/2, 1/4, 0
/// while it is an outlier, a step each time that enough further requests have ended; then a pause, then probes; then
/// the same way up, on evidence or, without any, with time. Not thread-safe; O(1).
class OutlierMember {
 public:
  void set_peer_class(std::uint64_t peer_class) noexcept { peer_class_ = peer_class; }
  /// Whether requests may be sent to it, its share aside.
  void set_serving(bool serving) noexcept { serving_ = serving; }

  void on_sent(const OutlierOptions& options, TimePoint now) noexcept;
  /// A request ended well, or failed by the endpoint's fault.
  void on_ended(bool failed, const OutlierOptions& options, TimePoint now) noexcept;
  void on_latency(const LatencySample& sample, TimePoint now) noexcept;

  [[nodiscard]] const TrafficShare& share() const noexcept { return share_; }
  [[nodiscard]] std::uint64_t peer_class() const noexcept { return peer_class_; }
  [[nodiscard]] bool serving() const noexcept { return serving_; }
  [[nodiscard]] bool reduced() const noexcept { return share_.share < 1; }
  [[nodiscard]] float severity() const noexcept { return severity_; }
  [[nodiscard]] const OutlierEvidence& evidence() const noexcept { return evidence_; }

  /// Of which requests a judgement may be made now.
  struct Question {
    TimePoint sent_from{};
    TimePoint ended_from{};
    std::uint32_t observations_min = 0;
    bool asked = false;  // false: no judgement is of use now
  };
  /// Whether it should lose traffic (further).
  [[nodiscard]] Question against(const OutlierOptions& options, TimePoint now) const noexcept;
  /// Whether it may have more again. Not asked at full share.
  [[nodiscard]] Question in_favour(const OutlierOptions& options, TimePoint now) const noexcept;

  /// At full share: counts findings in a row. True if it is to be cut, should the class have room.
  [[nodiscard]] bool accused(const OutlierFinding& finding, const OutlierOptions& options, TimePoint now) noexcept;
  /// A step down.
  void cut(const OutlierFinding& finding, const OutlierOptions& options, TimePoint now) noexcept;
  /// Below full share: the step that the findings on both questions allow.
  void move(const OutlierFinding& against, const OutlierFinding& in_favour, const OutlierOptions& options,
            TimePoint now) noexcept;
  /// Back to full share at once: its class can spare it no longer.
  void release(TimePoint now) noexcept;

 private:
  void raise(TimePoint now) noexcept;
  void eject(const OutlierOptions& options, TimePoint now) noexcept;
  [[nodiscard]] bool held(const OutlierOptions& options, TimePoint now) const noexcept;

  std::uint64_t peer_class_ = 0;
  bool serving_ = true;
  OutlierEvidence evidence_;
  TrafficShare share_{};
  float severity_ = 0;
  TimePoint changed_at_{};  // of the share; of an ejection: the end of its pause
  TimePoint count_from_{};  // requests sent earlier belong to a state that is over
  std::uint32_t sent_ = 0;  // since then
  bool news_ = false;       // something ended since the last look
  std::uint32_t accused_ = 0;
  std::uint32_t ejections_ = 0;
  TimePoint forgiven_at_{};
};

}  // namespace llmd::health
