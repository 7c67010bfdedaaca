#include "prefix/use_log.h"

#include <algorithm>

namespace llmd {

bool UseLog::closed(std::uint16_t slot, std::uint32_t blocks_max, std::size_t pairs) const noexcept {
  const Uses& uses = uses_[slot];
  if (uses.newest == kNone) return true;
  const Generation& newest = generations_[uses.newest];
  const std::uint32_t full = std::max({uses.blocks / 16, std::min(15U, blocks_max / 16), 1U});
  return newest.entries >= full || pushed_ - newest.opened >= std::max<std::size_t>(pairs / 16, 15);
}

std::uint32_t UseLog::open(std::uint16_t slot) {
  const std::uint32_t number = generations_.take();
  if (number == kNone) return kNone;
  Uses& uses = uses_[slot];
  Generation& generation = generations_[number];
  generation.slot = slot;
  generation.mark = uses.next_mark++;
  ++uses.marks_given;
  generation.opened = pushed_;
  (uses.newest == kNone ? uses.oldest : generations_[uses.newest].link) = number;
  uses.newest = number;
  generation.older = newest_;
  (newest_ == kNone ? oldest_ : generations_[newest_].newer) = number;
  newest_ = number;
  return number;
}

bool UseLog::push(std::uint16_t slot, std::uint64_t hash) {
  if (!push_to(generations_[uses_[slot].newest], hash)) return false;
  ++uses_[slot].entries;
  ++pushed_;
  return true;
}

bool UseLog::push_to(Generation& generation, std::uint64_t hash) {
  if (generation.top == kNone || chunks_[generation.top].used == chunks_[generation.top].hash.size()) {
    const std::uint32_t number = chunks_.take();
    if (number == kNone) return false;
    chunks_[number].link = generation.top;
    generation.top = number;
  }
  Chunk& chunk = chunks_[generation.top];
  chunk.hash[chunk.used++] = hash;
  ++generation.entries;
  return true;
}

void UseLog::put_back(std::uint32_t number, std::uint32_t& before) noexcept {
  if (number == kNone) return;
  Generation& generation = generations_[number];
  for (; !kept_.empty(); kept_.pop_back()) {
    // Never fails: it takes the chunks that the entries were in.
    if (push_to(generation, kept_.back())) ++uses_[generation.slot].entries;
  }
  if (generation.entries == 0) {
    drop(number, before);
  } else {
    before = number;
  }
}

std::uint64_t UseLog::pop(std::uint32_t number) noexcept {
  Generation& generation = generations_[number];
  const std::uint32_t top = generation.top;
  Chunk& chunk = chunks_[top];
  const std::uint64_t hash = chunk.hash[--chunk.used];
  if (chunk.used == 0) {
    generation.top = chunk.link;
    chunks_.give_back(top);
  }
  --generation.entries;
  --uses_[generation.slot].entries;
  return hash;
}

std::uint64_t UseLog::peek(std::uint32_t number, std::uint32_t depth) const noexcept {
  const std::uint32_t top = generations_[number].top;
  if (top == kNone) return 0;
  const Chunk& chunk = chunks_[top];
  if (depth < chunk.used) return chunk.hash[chunk.used - 1 - depth];
  if (chunk.link == kNone) return 0;
  const Chunk& below = chunks_[chunk.link];
  depth -= chunk.used;
  return depth < below.used ? below.hash[below.used - 1 - depth] : 0;
}

void UseLog::drop_oldest(std::uint16_t slot) noexcept { drop(uses_[slot].oldest, kNone); }

void UseLog::drop_newest(std::uint16_t slot) noexcept {
  const std::uint32_t newest = uses_[slot].newest;
  std::uint32_t before = kNone;
  for (std::uint32_t each = uses_[slot].oldest; each != newest; each = generations_[each].link) before = each;
  drop(newest, before);
}

void UseLog::drop(std::uint32_t number, std::uint32_t before) noexcept {
  const Generation& gone = generations_[number];
  Uses& uses = uses_[gone.slot];
  (before == kNone ? uses.oldest : generations_[before].link) = gone.link;
  if (uses.newest == number) uses.newest = before;
  (gone.older == kNone ? oldest_ : generations_[gone.older].newer) = gone.newer;
  (gone.newer == kNone ? newest_ : generations_[gone.newer].older) = gone.older;
  generations_.give_back(number);
}

bool UseLog::wants_renewal(std::uint16_t slot) const noexcept {
  const Uses& uses = uses_[slot];
  return uses.entries > uses.blocks + uses.blocks / 2 + kStaleMin || uses.marks_given >= kMarksMax;
}

bool UseLog::check_integrity() const {
  std::size_t linked = 0;
  for (std::size_t slot = 0; slot < uses_.size(); ++slot) {
    std::uint32_t entries = 0;
    std::uint32_t last = kNone;
    for (std::uint32_t number = uses_[slot].oldest; number != kNone; number = generations_[number].link) {
      const Generation& each = generations_[number];
      std::uint32_t counted = 0;
      for_each(number, [&](std::uint64_t) { ++counted; });
      if (each.slot != slot || counted != each.entries || counted == 0) return false;
      if (last != kNone && generations_[last].opened > each.opened) return false;
      entries += counted;
      last = number;
      ++linked;
    }
    if (entries != uses_[slot].entries || last != uses_[slot].newest) return false;
  }
  std::uint32_t before = kNone;
  for (std::uint32_t number = oldest_; number != kNone; number = generations_[number].newer) {
    if (generations_[number].older != before || linked-- == 0) return false;
    before = number;
  }
  return before == newest_ && linked == 0;
}

}  // namespace llmd
