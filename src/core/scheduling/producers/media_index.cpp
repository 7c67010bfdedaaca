#include "scheduling/producers/media_index.h"

#include <algorithm>
#include <mutex>

#include "base/rng.h"

namespace llmd::scheduling {

void MediaIndex::RecentKeys::unlink(std::uint32_t place) noexcept {
  const Entry& entry = entries_[place];
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
}

void MediaIndex::RecentKeys::link_newest(std::uint32_t place) noexcept {
  entries_[place].older = newest_;
  entries_[place].newer = kNone;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = place;
  newest_ = place;
}

void MediaIndex::RecentKeys::add(std::uint64_t key, std::uint32_t keys_max) {
  if (const auto known = places_.find(key); known != places_.end()) {
    unlink(known->second);
    link_newest(known->second);
    return;
  }
  auto place = static_cast<std::uint32_t>(entries_.size());
  if (entries_.size() >= std::max(1U, keys_max)) {
    place = oldest_;
    unlink(place);
    places_.erase(entries_[place].key);
    entries_[place].key = key;
  } else {
    entries_.push_back({.key = key});
  }
  places_.emplace(key, place);
  link_newest(place);
}

std::uint64_t MediaIndex::key_of(const MediaItem& item) const noexcept {
  return Rng{item.hash ^ options_.seed}.next();  // one to one
}

void MediaIndex::make_room() {
  if (endpoints_.size() < std::max(1U, options_.endpoints_max)) return;
  endpoints_.erase(std::ranges::min_element(endpoints_, {}, [](const auto& each) { return each.second.used; }));
}

void MediaIndex::insert(std::string_view endpoint, std::span<const MediaItem> media) {
  if (media.empty()) return;
  const std::unique_lock lock{mutex_};
  auto held = endpoints_.find(endpoint);
  if (held == endpoints_.end()) {
    make_room();
    held = endpoints_.emplace(std::string{endpoint}, Held{}).first;
  }
  held->second.used = ++inserts_;
  for (const MediaItem& item : media) held->second.keys.add(key_of(item), options_.items_max);
}

void MediaIndex::match(std::span<const MediaItem> media, std::span<const EndpointState> endpoints,
                       std::span<float> matched) const {
  std::ranges::fill(matched, 0.0F);
  if (media.empty()) return;
  const std::shared_lock lock{mutex_};
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const auto held = endpoints_.find(endpoints[i].endpoint->name);
    if (held == endpoints_.end()) continue;
    for (const MediaItem& item : media) {
      if (held->second.keys.has(key_of(item))) matched[i] += static_cast<float>(item.weight);
    }
  }
}

void MediaIndex::remove(std::string_view endpoint) {
  const std::unique_lock lock{mutex_};
  if (const auto held = endpoints_.find(endpoint); held != endpoints_.end()) endpoints_.erase(held);
}

PluginState MediaIndex::state() const {
  const std::shared_lock lock{mutex_};
  PluginState state{.figures = {{"maxItems", static_cast<double>(options_.items_max)}}};
  for (const auto& [name, held] : endpoints_)
    state.items.push_back({name, {{"items", static_cast<double>(held.keys.size())}}});
  return state;
}

std::size_t MediaIndex::size(std::string_view endpoint) const {
  const std::shared_lock lock{mutex_};
  const auto held = endpoints_.find(endpoint);
  return held == endpoints_.end() ? 0 : held->second.keys.size();
}

}  // namespace llmd::scheduling
