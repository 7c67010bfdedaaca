#include "routing/explanation_ring.h"

#include <utility>

namespace llmd::routing {
namespace {

/// Close enough to what the record holds: struct sizes and the texts that are not short.
std::size_t bytes_of(const RequestRecord& record) {
  std::size_t bytes = sizeof record + 128;
  if (record.refusal) bytes += record.refusal->what.size() + record.refusal->hint.size();
  for (const ProfileExplanation& profile : record.explanation.profiles) {
    bytes += sizeof profile;
    for (const FilteredOut& out : profile.filtered) {
      bytes += sizeof out + out.endpoint.size() + out.filter.size() + out.reason.size();
    }
    for (const CandidateScore& candidate : profile.candidates) {
      bytes += sizeof candidate + candidate.endpoint.size() + candidate.parts.size() * (sizeof(ScorePart) + 24);
    }
  }
  return bytes;
}

}  // namespace

ExplanationRing::ExplanationRing(std::size_t records_max, Budget& budget)
    : records_max_{records_max}, budget_{budget} {}

void ExplanationRing::put(RequestRecord record) {
  const std::size_t bytes = bytes_of(record);
  if (bytes > budget_.limit_bytes() || records_max_ == 0) return;
  const std::scoped_lock lock{mutex_};
  if (const auto found = by_id_.find(record.explanation.request_id); found != by_id_.end()) forget(found->second);
  while (entries_.size() >= records_max_) forget_oldest();
  Charge charge{budget_, bytes};
  while (!charge && !entries_.empty()) {
    forget_oldest();
    charge = Charge{budget_, bytes};
  }
  if (!charge) return;
  entries_.push_back({.record = std::move(record), .charge = std::move(charge)});
  const auto entry = std::prev(entries_.end());
  by_id_.emplace(entry->record.explanation.request_id, entry);
}

void ExplanationRing::forget(std::list<Entry>::iterator entry) {
  by_id_.erase(entry->record.explanation.request_id);
  entries_.erase(entry);
}

void ExplanationRing::forget_oldest() { forget(entries_.begin()); }

void ExplanationRing::drop(std::string_view request_id) {
  const std::scoped_lock lock{mutex_};
  if (const auto found = by_id_.find(request_id); found != by_id_.end()) forget(found->second);
}

void ExplanationRing::finish(const Outcome& outcome) {
  const std::scoped_lock lock{mutex_};
  if (const auto found = by_id_.find(outcome.request_id); found != by_id_.end())
    found->second->record.outcome = outcome;
}

std::optional<RequestRecord> ExplanationRing::find(std::string_view request_id) const {
  const std::scoped_lock lock{mutex_};
  const auto found = by_id_.find(request_id);
  if (found == by_id_.end()) return std::nullopt;
  return found->second->record;
}

std::size_t ExplanationRing::size() const {
  const std::scoped_lock lock{mutex_};
  return entries_.size();
}

}  // namespace llmd::routing
