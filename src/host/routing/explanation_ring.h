#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/budget.h"
#include "base/error.h"
#include "model/decision.h"
#include "model/explanation.h"

namespace llmd::routing {

/// One request as it is remembered: why it went where it went, and, once it is over, what became of it.
struct RequestRecord {
  Explanation explanation;
  std::string pool{};  // that the request was given to, and by which route; empty: there is but one
  std::string route{};
  std::shared_ptr<const Endpoint> chosen;   // decode endpoint, null if none could serve
  std::shared_ptr<const Endpoint> prefill;  // null: none
  std::optional<Outcome> outcome;
  std::optional<Error> refusal;  // the gateway's own answer, instead of an outcome
};

/// Records that are forgotten apart, so that many of one kind leave the others.
enum class Shelf : std::uint8_t {
  kFull,     // explained in full
  kBrief,    // explained in brief
  kFailed,   // what went wrong or was slow, whatever its explanation
  kRefused,  // sent nowhere
};
inline constexpr std::size_t kShelves = 4;

/// The last decisions by request id. On each shelf the oldest is forgotten first: there are at most `records_max`, and
/// no more than the budget has room for. Of equal ids the last counts. Thread-safe; put() and finish() cost a lock and
/// a few hundred nanoseconds.
class ExplanationRing {
 public:
  struct Limits {
    std::size_t records_max;
    Budget& budget;  // must outlive the ring
  };
  /// One a shelf, in their order.
  explicit ExplanationRing(const std::array<Limits, kShelves>& limits) : limits_{limits} {}

  /// Forgets others of the shelf to make room. False: it alone is larger than the shelf, and is dropped.
  bool put(RequestRecord&& record, Shelf shelf);
  /// Adds the outcome to the record of its request, and moves it to kFailed if it `failed` and that has room; nothing
  /// if it is forgotten already.
  void finish(const Outcome& outcome, bool failed);
  [[nodiscard]] std::optional<RequestRecord> find(std::string_view request_id) const;
  [[nodiscard]] std::size_t size(Shelf shelf) const;

 private:
  struct Entry {
    RequestRecord record;
    Shelf shelf;
    Charge charge{};
  };
  using Entries = std::list<Entry>;
  void forget(Entries::iterator entry);
  [[nodiscard]] Charge make_room(std::size_t bytes, Shelf shelf);
  [[nodiscard]] Entries& on(Shelf shelf) { return entries_[static_cast<std::size_t>(shelf)]; }

  const std::array<Limits, kShelves> limits_;
  mutable std::mutex mutex_;                                         // guards the two below
  std::array<Entries, kShelves> entries_;                            // oldest first
  std::unordered_map<std::string_view, Entries::iterator> by_id_{};  // keys live in the entries
};

}  // namespace llmd::routing
