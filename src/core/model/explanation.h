#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/endpoint.h"

namespace llmd {

/// What a model expected of the request on one endpoint. A deviation is the standard one of what will be seen; a time
/// per token of 0 was not predicted.
struct PredictedLatency {
  float ttft_ms = 0;
  float ttft_deviation_ms = 0;
  float tpot_ms = 0;
  float tpot_deviation_ms = 0;
};

/// Why an endpoint did not stay a candidate.
struct FilteredOut {
  std::shared_ptr<const Endpoint> endpoint;
  std::string_view filter;  // the plugin's name
  std::string reason;       // one clause: what was seen against what was wanted
};

/// One scorer's word on one candidate.
struct ScorePart {
  float score = 0;                  // 0..1 after clamping
  bool metric_missing = false;      // the metric was never reported, or older than the scorer accepts
  std::int32_t metric_age_ms = -1;  // -1: not fed by a metric
};

/// A scorer with the weight that it had in this decision.
struct ScorerWeight {
  std::string_view name;
  float weight = 1;
};

struct CandidateScore {
  std::shared_ptr<const Endpoint> endpoint;
  float total = 0;                              // sum of score * weight
  std::optional<PredictedLatency> predicted{};  // nothing: nobody predicts, or too little is known
};

/// Whom a policy that looks at nothing, or at the load alone, would have taken of the same candidates.
struct OtherChoice {
  std::string_view policy;  // "random", "round-robin" or "least-loaded": fewest requests in flight
  std::shared_ptr<const Endpoint> endpoint;
  std::optional<PredictedLatency> predicted{};
};

/// What one profile saw and chose. `chosen` is empty if its filters left nothing. Copies share what their views point
/// to; a view taken out of it is valid as long as one of them lives.
struct ProfileExplanation {
  std::shared_ptr<const void> names;  // what the views of plugins point to
  std::string_view profile;
  std::string_view picker;
  std::string_view arm{};      // whose weights these are while they are learned: control, learned, trial; else empty
  std::string_view chosen;     // one of `candidates`
  std::string_view runner_up;  // whom the picker would have taken next; empty: there was no other, or it is not listed
  std::vector<ScorerWeight> scorers;
  std::vector<FilteredOut> filtered;
  std::vector<CandidateScore> candidates;  // best first; if brief, the chosen one first
  std::vector<ScorePart> parts;            // a row a candidate, a column a scorer
  std::vector<OtherChoice> others;
  std::uint32_t filtered_total = 0;  // of which the lists name the first
  std::uint32_t candidates_total = 0;

  /// The row of the candidate with this place in `candidates`.
  [[nodiscard]] std::span<const ScorePart> parts_of(std::size_t candidate) const noexcept {
    return std::span{parts}.subspan(candidate * scorers.size(), scorers.size());
  }
};

/// The record of one decision, kept in a bounded ring by request id. Filled at decision time.
struct Explanation {
  std::string request_id;
  /// Set by who asks: a profile then lists the chosen one and the runner-up only, and neither reasons of filters nor
  /// other policies' choices. For decisions whose whole record is not worth its time.
  bool brief = false;
  std::uint64_t snapshot_version = 0;
  std::int64_t snapshot_age_ms = 0;
  std::uint32_t prompt_tokens = 0;
  bool prompt_tokens_exact = false;          // counted with the model's vocabulary, or given as ids
  std::uint32_t cached_tokens_expected = 0;  // on the decode endpoint, see Decision
  std::uint32_t block_tokens = 0;            // of the prefix match
  std::vector<ProfileExplanation> profiles;
  std::optional<PredictedLatency> predicted{};  // of the decode endpoint
  std::string_view pd_rule;                     // which rule of the decider fired, empty without P/D; static text
  std::uint32_t pd_observed = 0;
  std::uint32_t pd_limit = 0;
  std::string refused_by{};  // why an admitter refused; empty: none did
};

}  // namespace llmd
