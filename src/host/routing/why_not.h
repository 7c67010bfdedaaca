#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/explanation.h"
#include "routing/explanation_ring.h"

namespace llmd::routing {

/// What one scorer gave a candidate, beside the chosen one.
struct ScorerGap {
  std::string_view scorer;
  float weight = 0;
  ScorePart own;
  ScorePart chosen;
  float difference = 0;  // weighted; negative: it speaks against the candidate
};

/// One a scorer, what made the most difference first. The views live as long as the profile.
[[nodiscard]] std::vector<ScorerGap> score_gaps(const ProfileExplanation& profile, std::size_t candidate);

/// Why one profile did not choose an endpoint.
struct Verdict {
  enum class Kind : std::uint8_t {
    kChosen,
    kFiltered,
    kScoredLower,
    kTied,         // as good: the picker had to break a tie
    kPassedOver,   // scored higher, but the choice does not go by points alone
    kNotRecorded,  // it is not among those that the record lists
    kNotThere,     // the record lists all, and it is none of them
  };
  Kind kind = Kind::kNotThere;
  const ProfileExplanation* profile = nullptr;
  const FilteredOut* filtered = nullptr;  // kFiltered
  const CandidateScore* own = nullptr;    // where it is a candidate
  const CandidateScore* chosen = nullptr;
  std::vector<ScorerGap> gaps{};
};

[[nodiscard]] std::string_view verdict_name(Verdict::Kind kind) noexcept;

/// The answer to "why not this endpoint?". Its pointers and views live as long as the record.
struct WhyNot {
  std::string endpoint{};            // empty: none or several are meant
  std::vector<std::string> meant{};  // several: some of them
  std::string hint{};                // none: names that may be meant
  std::vector<Verdict> verdicts{};   // one a profile; none: it was refused before any ran
};

/// `asked` is the whole name or a piece of one that no other has. Names are those of the record and `pool_names`, the
/// pool's now.
[[nodiscard]] WhyNot why_not(const RequestRecord& record, std::string_view asked,
                             std::span<const std::string> pool_names);

}  // namespace llmd::routing
