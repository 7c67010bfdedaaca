#include "simulation/policies/holder_set.h"

#include <algorithm>
#include <array>
#include <utility>

namespace llmd {

HolderSet& HolderSet::operator=(HolderSet&& other) noexcept {
  if (this != &other) {
    reset();
    word_ = std::exchange(other.word_, kEmpty);
  }
  return *this;
}

bool HolderSet::add(std::uint16_t slot) {
  if (contains(slot)) return false;
  if (is_inline()) {
    const std::size_t count = inline_count();
    if (count == kInlineMax) {
      spill(slot);
      return true;
    }
    std::array<std::uint16_t, kInlineMax> slots{};
    for (std::size_t i = 0; i < count; ++i) slots[i] = inline_slot(i);
    slots[count] = slot;
    std::sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(count + 1));
    set_inline(slots.data(), count + 1);
    return true;
  }
  if (slot / 64U >= bits()->words) widen(slot / 64U + 1);
  bits()->word[slot / 64U] |= std::uint64_t{1} << (slot % 64U);
  ++bits()->count;
  return true;
}

bool HolderSet::remove(std::uint16_t slot) {
  if (!contains(slot)) return false;
  std::array<std::uint16_t, kInlineMax> kept{};
  std::size_t count = 0;
  if (!is_inline()) {
    bits()->word[slot / 64U] &= ~(std::uint64_t{1} << (slot % 64U));
    if (--bits()->count > kInlineMax) return true;
    for_each([&](std::uint16_t other) { kept[count++] = other; });
    reset();
  } else {
    for (std::size_t i = 0; i < inline_count(); ++i) {
      if (inline_slot(i) != slot) kept[count++] = inline_slot(i);
    }
  }
  set_inline(kept.data(), count);
  return true;
}

bool HolderSet::contains(std::uint16_t slot) const noexcept {
  if (is_inline()) {
    for (std::size_t i = 0; i < inline_count(); ++i) {
      if (inline_slot(i) == slot) return true;
    }
    return false;
  }
  return slot / 64U < bits()->words && (bits()->word[slot / 64U] >> (slot % 64U) & 1) != 0;
}

std::size_t HolderSet::heap_bytes() const noexcept {
  return is_inline() ? 0 : sizeof(Bits) + bits()->words * sizeof(std::uint64_t);
}

bool operator==(const HolderSet& a, const HolderSet& b) noexcept {
  if (a.is_inline() || b.is_inline()) return a.word_ == b.word_;
  const HolderSet::Bits& x = *a.bits();
  const HolderSet::Bits& y = *b.bits();
  if (x.count != y.count) return false;
  // Equal counts: if the common words agree, what one has beyond them is empty.
  return std::equal(x.word.get(), x.word.get() + std::min(x.words, y.words), y.word.get());
}

void HolderSet::set_inline(const std::uint16_t* slots, std::size_t count) noexcept {
  std::uint64_t word = kEmpty | count << 8;
  for (std::size_t i = 0; i < count; ++i) word |= std::uint64_t{slots[i]} << (16 * (i + 1));
  word_ = word;
}

void HolderSet::spill(std::uint16_t slot) {
  std::array<std::uint16_t, kInlineMax + 1> slots{};
  for (std::size_t i = 0; i < kInlineMax; ++i) slots[i] = inline_slot(i);
  slots[kInlineMax] = slot;
  const std::uint32_t words = *std::max_element(slots.begin(), slots.end()) / 64U + 1;
  auto set = std::make_unique<Bits>(
      Bits{.count = kInlineMax + 1, .words = words, .word = std::make_unique<std::uint64_t[]>(words)});
  for (const std::uint16_t each : slots) set->word[each / 64U] |= std::uint64_t{1} << (each % 64U);
  word_ = std::bit_cast<std::uint64_t>(set.release());
}

void HolderSet::widen(std::uint32_t words) {
  auto wider = std::make_unique<std::uint64_t[]>(words);
  std::copy_n(bits()->word.get(), bits()->words, wider.get());
  bits()->word = std::move(wider);
  bits()->words = words;
}

void HolderSet::reset() noexcept {
  if (!is_inline()) delete bits();
  word_ = kEmpty;
}

}  // namespace llmd
