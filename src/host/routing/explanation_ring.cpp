#include "routing/explanation_ring.h"

#include <iterator>
#include <utility>

namespace llmd::routing {
namespace {

template <class T>
std::size_t held(const std::vector<T>& items) {
  return items.capacity() * sizeof(T);
}

/// Close enough to what the record holds, the nodes of list and map and the outcome's texts included. Endpoints and
/// names of plugins are shared with those who use them.
std::size_t bytes_of(const RequestRecord& record) {
  constexpr std::size_t kNodesAndOutcome = 256;
  const Explanation& why = record.explanation;
  std::size_t bytes = sizeof record + kNodesAndOutcome + why.request_id.size() + held(why.profiles) +
                      record.pool.size() + record.route.size();
  if (record.refusal) bytes += record.refusal->what.size() + record.refusal->hint.size();
  for (const ProfileExplanation& profile : why.profiles) {
    bytes += held(profile.scorers) + held(profile.filtered) + held(profile.candidates) + held(profile.parts) +
             held(profile.others);
    for (const FilteredOut& out : profile.filtered) bytes += out.reason.capacity();
  }
  return bytes;
}

}  // namespace

bool ExplanationRing::put(RequestRecord&& record, Shelf shelf) {
  const std::size_t bytes = bytes_of(record);
  Entries one;  // made without the lock
  one.push_back({.record = std::move(record), .shelf = shelf});
  const std::string_view id = one.front().record.explanation.request_id;
  const std::scoped_lock lock{mutex_};
  if (const auto found = by_id_.find(id); found != by_id_.end()) forget(found->second);
  one.front().charge = make_room(bytes, shelf);
  if (!one.front().charge) return false;
  by_id_.emplace(id, one.begin());
  on(shelf).splice(on(shelf).end(), one);
  return true;
}

Charge ExplanationRing::make_room(std::size_t bytes, Shelf shelf) {
  const Limits& limits = limits_[static_cast<std::size_t>(shelf)];
  if (bytes > limits.budget.limit_bytes() || limits.records_max == 0) return {};
  Entries& entries = on(shelf);
  while (entries.size() >= limits.records_max) forget(entries.begin());
  Charge charge{limits.budget, bytes};
  while (!charge && !entries.empty()) {
    forget(entries.begin());
    charge = Charge{limits.budget, bytes};
  }
  return charge;
}

void ExplanationRing::forget(Entries::iterator entry) {
  by_id_.erase(entry->record.explanation.request_id);
  on(entry->shelf).erase(entry);
}

void ExplanationRing::finish(const Outcome& outcome, bool failed) {
  const std::scoped_lock lock{mutex_};
  const auto found = by_id_.find(outcome.request_id);
  if (found == by_id_.end()) return;
  const Entries::iterator entry = found->second;
  entry->record.outcome = outcome;
  if (!failed || entry->shelf == Shelf::kFailed) return;
  Charge charge = make_room(entry->charge.bytes(), Shelf::kFailed);
  if (!charge) return;
  entry->charge = std::move(charge);
  on(Shelf::kFailed).splice(on(Shelf::kFailed).end(), on(entry->shelf), entry);
  entry->shelf = Shelf::kFailed;
}

std::optional<RequestRecord> ExplanationRing::find(std::string_view request_id) const {
  const std::scoped_lock lock{mutex_};
  const auto found = by_id_.find(request_id);
  if (found == by_id_.end()) return std::nullopt;
  return found->second->record;
}

std::size_t ExplanationRing::size(Shelf shelf) const {
  const std::scoped_lock lock{mutex_};
  return entries_[static_cast<std::size_t>(shelf)].size();
}

}  // namespace llmd::routing
