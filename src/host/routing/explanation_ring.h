#pragma once

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

namespace llmd::routing {

/// One request as it is remembered: why it went where it went, and, once it is over, what became of it.
struct RequestRecord {
  Explanation explanation;
  std::string chosen;   // decode endpoint, empty if none could serve
  std::string prefill;  // empty: none
  std::optional<Outcome> outcome;
  std::optional<Error> refusal;  // the gateway's own answer, instead of an outcome
};

/// The last decisions by request id, oldest forgotten first: at most `records_max`, and no more than the budget has
/// room for. Of equal ids the last counts. Thread-safe; put() and finish() cost a lock and a few hundred nanoseconds.
class ExplanationRing {
 public:
  /// `budget` must outlive the ring.
  ExplanationRing(std::size_t records_max, Budget& budget);

  /// Forgets others to make room; drops the record if it alone is larger than the budget.
  void put(RequestRecord record);
  /// Adds the outcome to the record of its request; nothing if it is forgotten already.
  void finish(const Outcome& outcome);
  /// Forgets this one, if it is here.
  void drop(std::string_view request_id);
  [[nodiscard]] std::optional<RequestRecord> find(std::string_view request_id) const;
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    RequestRecord record;
    Charge charge;
  };
  void forget_oldest();
  void forget(std::list<Entry>::iterator entry);

  const std::size_t records_max_;
  Budget& budget_;
  mutable std::mutex mutex_;                                                // guards the two below
  std::list<Entry> entries_;                                                // oldest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_id_;  // keys live in the entries
};

}  // namespace llmd::routing
