#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "prefix/index_memory.h"

namespace llmd {

/// Small objects of one type by number, from pages of 4 KB. T is trivial and has a member `link`.
template <class T>
class Slab {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  explicit Slab(IndexMemory& memory) noexcept : memory_{memory} {}
  ~Slab() {
    for (T* page : pages_) memory_.give_back(page, kPageBytes);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  /// kNone: no memory.
  [[nodiscard]] std::uint32_t take() {
    if (free_ == kNone) {
      void* const page = memory_.take(kPageBytes);
      if (page == nullptr) return kNone;
      pages_.push_back(static_cast<T*>(page));
      for (std::uint32_t i = kPerPage; i-- > 0;) {
        (new (pages_.back() + i) T{})->link = free_;
        free_ = static_cast<std::uint32_t>(pages_.size() - 1) * kPerPage + i;
      }
    }
    const std::uint32_t number = free_;
    free_ = (*this)[number].link;
    (*this)[number] = T{};
    return number;
  }
  void give_back(std::uint32_t number) noexcept {
    (*this)[number].link = free_;
    free_ = number;
  }
  [[nodiscard]] T& operator[](std::uint32_t number) noexcept { return pages_[number / kPerPage][number % kPerPage]; }
  [[nodiscard]] const T& operator[](std::uint32_t number) const noexcept {
    return pages_[number / kPerPage][number % kPerPage];
  }

 private:
  static constexpr std::size_t kPageBytes = 4'064;  // with what the allocator adds, 4 KB
  static constexpr std::uint32_t kPerPage = kPageBytes / sizeof(T);
  IndexMemory& memory_;
  std::vector<T*> pages_;
  std::uint32_t free_ = kNone;
};

/// Which blocks each endpoint used, in generations: a generation is a stack of the blocks that were first used while it
/// was its endpoint's newest. A block has one valid entry, the one in the generation whose mark its pair has; older
/// entries of it are stale and wait to be dropped. What is to be forgotten first is the oldest generation's top.
///
/// A prompt goes into one generation, its first block first, and a block that is already there stays. So of two blocks
/// of a prompt the later one is never in a newer generation and never below: it always goes first.
///
/// An endpoint's use closes a generation when it holds a sixteenth of what the endpoint holds, or when a sixteenth of
/// what all hold was used since it was opened. 8 bytes an entry and some 10 % for pages. Not thread-safe.
class UseLog {
 public:
  static constexpr std::uint32_t kNone = Slab<int*>::kNone;

  struct Generation {
    std::uint32_t link = kNone;   // the next newer one of its endpoint
    std::uint32_t older = kNone;  // of all endpoints
    std::uint32_t newer = kNone;
    std::uint32_t top = kNone;
    std::uint32_t entries = 0;
    std::uint16_t slot = 0;
    std::uint16_t mark = 0;
    std::uint64_t opened = 0;  // after how many entries of all
  };
  /// Of one endpoint.
  struct Uses {
    std::uint32_t oldest = kNone;
    std::uint32_t newest = kNone;
    std::uint32_t entries = 0;  // valid or stale
    std::uint32_t blocks = 0;   // that it holds; kept by the index
    std::uint16_t next_mark = 0;
    std::uint16_t marks_given = 0;  // since the last renew()
  };

  explicit UseLog(IndexMemory& memory) noexcept : generations_{memory}, chunks_{memory} {}

  void add_slot() { uses_.emplace_back(); }
  [[nodiscard]] std::size_t slots() const noexcept { return uses_.size(); }
  [[nodiscard]] Uses& uses(std::uint16_t slot) noexcept { return uses_[slot]; }
  [[nodiscard]] const Uses& uses(std::uint16_t slot) const noexcept { return uses_[slot]; }

  /// Whether the endpoint's newest generation takes no further prompt, if an endpoint may hold `blocks_max` blocks and
  /// all together hold `pairs`.
  [[nodiscard]] bool closed(std::uint16_t slot, std::uint32_t blocks_max, std::size_t pairs) const noexcept;
  /// Makes a new newest generation. kNone: no memory.
  [[nodiscard]] std::uint32_t open(std::uint16_t slot);
  /// Onto the top of the endpoint's newest generation. False: no memory.
  [[nodiscard]] bool push(std::uint16_t slot, std::uint64_t hash);
  /// Pre: the generation has entries.
  std::uint64_t pop(std::uint32_t generation) noexcept;
  /// The entry that is `depth` pops away, 0 if that is not near.
  [[nodiscard]] std::uint64_t peek(std::uint32_t generation, std::uint32_t depth) const noexcept;
  /// Pre: it is empty and the oldest of its endpoint.
  void drop_oldest(std::uint16_t slot) noexcept;

  /// Pre: the endpoint's newest generation is empty.
  void drop_newest(std::uint16_t slot) noexcept;

  /// Whether stale entries are a third, or marks are about to come round.
  [[nodiscard]] bool wants_renewal(std::uint16_t slot) const noexcept;
  /// Goes through the endpoint's entries from the oldest generation on, where most of the stale ones are, until few are
  /// stale; if marks are about to come round, through all, and makes one of small neighbours, so that some 2,000
  /// generations are left. `keep(hash, mark, new_mark)` says whether the entry is valid and if so gives its pair the
  /// new mark; `ahead(hash)` is told which comes soon.
  template <class Keep, class Ahead>
  void renew(std::uint16_t slot, Keep&& keep, Ahead&& ahead);

  [[nodiscard]] const Generation& generation(std::uint32_t number) const noexcept { return generations_[number]; }
  [[nodiscard]] std::uint32_t oldest() const noexcept { return oldest_; }
  template <class Visit>
  void for_each(std::uint32_t generation, Visit&& visit) const;
  [[nodiscard]] bool check_integrity() const;

 private:
  struct Chunk {
    std::uint32_t link = kNone;  // the one below
    std::uint32_t used = 0;
    std::array<std::uint64_t, 15> hash{};
  };
  static constexpr std::uint32_t kStaleMin = 64;
  static constexpr std::uint32_t kMarksMax = 0x4000;
  static constexpr std::uint32_t kPartsMin = 1'024;  // a generation may have this part of its endpoint's blocks

  [[nodiscard]] bool push_to(Generation& generation, std::uint64_t hash);
  /// Puts back what is kept, the last first; without any the generation goes.
  void put_back(std::uint32_t generation, std::uint32_t& before) noexcept;
  /// `before`: the next older one of its endpoint, or kNone.
  void drop(std::uint32_t generation, std::uint32_t before) noexcept;

  Slab<Generation> generations_;
  Slab<Chunk> chunks_;
  std::vector<Uses> uses_;
  std::uint32_t oldest_ = kNone;  // of all endpoints
  std::uint32_t newest_ = kNone;
  std::uint64_t pushed_ = 0;
  std::vector<std::uint64_t> kept_;  // of generations that are renewed, the first to go first
};

template <class Keep, class Ahead>
void UseLog::renew(std::uint16_t slot, Keep&& keep, Ahead&& ahead) {
  constexpr std::uint32_t kAhead = 8;
  Uses& uses = uses_[slot];
  const bool all = uses.marks_given >= kMarksMax;
  if (all) uses.marks_given = 0;
  const std::uint32_t together_max = uses.blocks / kPartsMin;
  std::uint32_t before = kNone;
  std::uint32_t into = kNone;  // where what is kept goes
  std::uint16_t mark = 0;
  for (std::uint32_t number = uses.oldest; number != kNone;) {
    const bool joins = all && into != kNone && kept_.size() + generations_[number].entries <= together_max;
    if (!joins) {
      put_back(into, before);
      if (!all && uses.entries <= uses.blocks + uses.blocks / 8 + kStaleMin / 4) return;
      into = number;
      mark = uses.next_mark++;
      ++uses.marks_given;
    }
    Generation& generation = generations_[number];
    const std::uint32_t next = generation.link;
    // The new mark makes a second entry of the same block stale.
    while (generation.entries > 0) {
      ahead(peek(number, kAhead));
      const std::uint64_t hash = pop(number);
      if (keep(hash, generation.mark, mark)) kept_.push_back(hash);
    }
    if (joins) {
      drop(number, into);
    } else {
      generation.mark = mark;
    }
    number = next;
  }
  put_back(into, before);
}

template <class Visit>
void UseLog::for_each(std::uint32_t generation, Visit&& visit) const {
  for (std::uint32_t number = generations_[generation].top; number != kNone; number = chunks_[number].link) {
    for (std::uint32_t i = 0; i < chunks_[number].used; ++i) visit(chunks_[number].hash[i]);
  }
}

}  // namespace llmd
