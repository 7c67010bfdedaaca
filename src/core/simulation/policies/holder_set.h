#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace llmd {

/// The set of endpoint slots that hold one block, in 8 bytes: up to three slots inline, more as a bit set on the heap.
/// Most blocks belong to one prompt and so to one endpoint; a shared system prompt is held by all. Move-only; not
/// thread-safe.
class HolderSet {
 public:
  HolderSet() noexcept = default;
  HolderSet(HolderSet&& other) noexcept : word_{other.word_} { other.word_ = kEmpty; }
  HolderSet& operator=(HolderSet&& other) noexcept;
  ~HolderSet() { reset(); }

  /// False if it was there.
  bool add(std::uint16_t slot);
  /// False if it was not there.
  bool remove(std::uint16_t slot);
  [[nodiscard]] bool contains(std::uint16_t slot) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return is_inline() ? inline_count() : bits()->count; }
  [[nodiscard]] bool empty() const noexcept { return word_ == kEmpty; }
  [[nodiscard]] std::size_t heap_bytes() const noexcept;
  /// O(1) for inline sets, O(slots / 64) else.
  friend bool operator==(const HolderSet& a, const HolderSet& b) noexcept;

  /// Calls `visit` with each slot, ascending.
  template <class Visit>
  void for_each(Visit&& visit) const {
    if (is_inline()) {
      for (std::size_t i = 0; i < inline_count(); ++i) visit(inline_slot(i));
      return;
    }
    const Bits& set = *bits();
    for (std::uint32_t w = 0; w < set.words; ++w) {
      for (std::uint64_t rest = set.word[w]; rest != 0; rest &= rest - 1) {
        visit(static_cast<std::uint16_t>(w * 64 + static_cast<std::uint32_t>(std::countr_zero(rest))));
      }
    }
  }

 private:
  struct Bits {
    std::uint32_t count = 0;
    std::uint32_t words = 0;
    std::unique_ptr<std::uint64_t[]> word;
  };
  // Inline form: bit 0 set, bits 8-15 the count, then three 16-bit slots, ascending. Else a Bits*, whose bit 0 is
  // clear.
  static constexpr std::uint64_t kEmpty = 1;
  static constexpr std::size_t kInlineMax = 3;

  [[nodiscard]] bool is_inline() const noexcept { return (word_ & 1) != 0; }
  [[nodiscard]] std::size_t inline_count() const noexcept { return (word_ >> 8) & 0xff; }
  [[nodiscard]] std::uint16_t inline_slot(std::size_t i) const noexcept {
    return static_cast<std::uint16_t>(word_ >> (16 * (i + 1)));
  }
  [[nodiscard]] Bits* bits() const noexcept { return std::bit_cast<Bits*>(word_); }
  void set_inline(const std::uint16_t* slots, std::size_t count) noexcept;
  void spill(std::uint16_t slot);
  void widen(std::uint32_t words);
  void reset() noexcept;

  std::uint64_t word_ = kEmpty;
};

static_assert(sizeof(HolderSet) == 8);

}  // namespace llmd
