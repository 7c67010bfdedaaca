#include "prefix/holder_table.h"

#include <algorithm>
#include <bit>
#include <new>

namespace llmd {
namespace {

constexpr int kTriesMax = 64;

// A word: tag 32 | set 0 | slot + 1, 15 bits | mark 16; or tag 32 | set 1 | number of the set, 31 bits. 0: free.
constexpr std::uint64_t kSetBit = std::uint64_t{1} << 31U;

constexpr std::uint64_t pair_word(std::uint32_t tag, std::uint16_t slot, std::uint16_t mark) noexcept {
  return std::uint64_t{tag} << 32U | (std::uint64_t{slot} + 1) << 16U | mark;
}
constexpr std::uint64_t set_word(std::uint32_t tag, std::uint32_t set) noexcept {
  return std::uint64_t{tag} << 32U | kSetBit | set;
}
constexpr std::uint32_t tag_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32U); }
constexpr bool is_set(std::uint64_t word) noexcept { return (word & kSetBit) != 0; }
constexpr std::uint32_t set_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word) & 0x7fff'ffffU; }
constexpr std::uint16_t slot_of(std::uint64_t word) noexcept {
  return static_cast<std::uint16_t>((word >> 16U & 0x7fffU) - 1);
}

// Ascending in the tag, so that a table in order of homes is in order of tags.
constexpr std::uint32_t home(std::uint32_t tag, std::uint32_t homes) noexcept {
  return static_cast<std::uint32_t>(std::uint64_t{tag} * homes >> 32U);
}
// Room behind the last home for what does not fit before, and the word that stays 0.
constexpr std::uint32_t size_for(std::uint32_t homes) noexcept { return homes + std::min(homes / 4 + 4, 24U) + 1; }

// The array of a set: count, slots ascending, marks in the same order. Its key is the sum of a hash of each slot.
constexpr std::size_t set_bytes(std::size_t count) noexcept { return (1 + 2 * count) * sizeof(std::uint16_t); }
constexpr std::uint64_t slot_key(std::uint16_t slot) noexcept {
  std::uint64_t mixed = (std::uint64_t{slot} + 1) * 0x9e37'79b9'7f4a'7c15ULL;
  mixed = (mixed ^ mixed >> 32U) * 0xd6e8'feb8'6659'fd93ULL;
  return mixed ^ mixed >> 32U;
}

}  // namespace

/// More than four holders. Count and key stand beside the pointer: most matches need no more, since a block's holders
/// are those of the block before.
struct HolderTable::Set {
  std::atomic<std::uint16_t*> data{nullptr};
  std::atomic<std::uint64_t> summary{0};  // count 16 | key 48

  void put(std::uint16_t* array, std::uint64_t count, std::uint64_t key) noexcept {
    data.store(array, std::memory_order_release);
    summary.store(count << 48U | (key & kKeyMask), std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t key() const noexcept { return summary.load(std::memory_order_relaxed) & kKeyMask; }

 private:
  static constexpr std::uint64_t kKeyMask = (std::uint64_t{1} << 48U) - 1;
};

/// Tells readers that words or sets change.
class HolderTable::Change {
 public:
  explicit Change(Shard& shard) noexcept : shard_{shard}, version_{shard.version.load(std::memory_order_relaxed)} {
    shard_.version.store(version_ + 1, std::memory_order_relaxed);
  }
  ~Change() { shard_.version.store(version_ + 2, std::memory_order_release); }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

 private:
  Shard& shard_;
  std::uint32_t version_;
};

HolderTable::HolderTable(std::uint64_t seed, std::size_t shards, IndexMemory& memory)
    : seed_{seed}, memory_{memory}, shard_count_{shards} {
  void* const room = memory_.take(shards * sizeof(Shard));
  if (room == nullptr) return;
  shards_ = static_cast<Shard*>(room);
  for (std::size_t i = 0; i < shards; ++i) new (shards_ + i) Shard{};
}

HolderTable::~HolderTable() {
  const auto drop = [this](void* memory, std::size_t bytes) { memory_.give_back(memory, bytes); };
  for (std::uint32_t number = 0; number < sets_; ++number) {
    std::uint16_t* const data = set(number).data.load(std::memory_order_relaxed);
    if (data != nullptr) drop(data, set_bytes(data[0]));
  }
  for (std::size_t part = 0; part < parts_.size() && parts_[part] != nullptr; ++part)
    drop(parts_[part].load(), (kFirstPart << part) * sizeof(Set));
  if (shards_ == nullptr) return;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Word* const words = shards_[i].words.load(std::memory_order_relaxed);
    if (words != nullptr) drop(words, shards_[i].size * sizeof(Word));
  }
  drop(shards_, shard_count_ * sizeof(Shard));
}

// False if the words moved under it.
[[gnu::always_inline]] inline bool HolderTable::scan(const Word* words, std::uint32_t homes, std::uint32_t tag,
                                                     Holders& found) const noexcept {
  if (words == nullptr) return true;
  for (std::uint32_t i = home(tag, homes);; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_acquire);
    if (word == 0 || tag_of(word) > tag) return true;
    if (tag_of(word) < tag) continue;
    if (is_set(word)) {
      const Set& many = set(set_of(word));
      const std::uint16_t* const data = many.data.load(std::memory_order_acquire);
      if (data == nullptr) return false;
      const std::uint64_t summary = many.summary.load(std::memory_order_acquire);
      found = {.count = static_cast<std::uint32_t>(summary >> 48U), .many = data + 1, .key = summary};
      return true;
    }
    if (found.count == Holders::kFew) return false;
    found.key |= std::uint64_t{slot_of(word)} << 16U * found.count++;
  }
}

std::optional<Holders> HolderTable::find(const Place& place) const noexcept {
  const auto [shard, tag] = place;
  if (shard == nullptr) return Holders{};
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const std::uint32_t version = shard->version.load(std::memory_order_acquire);
    const Word* const words = shard->words.load(std::memory_order_acquire);
    const std::uint32_t homes = shard->homes.load(std::memory_order_acquire);
    // Checked before the walk, too: an old array and a new number of homes do not go together.
    if ((version & 1U) != 0 || shard->version.load(std::memory_order_acquire) != version) continue;
    Holders found;
    if (scan(words, homes, tag, found) && shard->version.load(std::memory_order_acquire) == version) return found;
  }
  return std::nullopt;
}

HolderTable::Range HolderTable::range(const Shard& shard, std::uint32_t tag) noexcept {
  const Word* const words = shard.words.load(std::memory_order_relaxed);
  if (words == nullptr) return {};
  const auto at = [&](std::uint32_t i) { return words[i].load(std::memory_order_relaxed); };
  std::uint32_t begin = home(tag, shard.homes.load(std::memory_order_relaxed));
  while (at(begin) != 0 && tag_of(at(begin)) < tag) ++begin;
  std::uint32_t end = begin;
  while (at(end) != 0 && tag_of(at(end)) == tag) ++end;
  return {.begin = begin, .end = end};
}

std::uint16_t HolderTable::Pair::mark() const noexcept {
  return mark_ != nullptr ? *mark_ : static_cast<std::uint16_t>(word_->load(std::memory_order_relaxed));
}

void HolderTable::Pair::set_mark(std::uint16_t mark) const noexcept {
  if (mark_ != nullptr) {
    *mark_ = mark;
  } else {
    // Readers do not look at marks, so their version stays.
    word_->store((word_->load(std::memory_order_relaxed) & ~std::uint64_t{0xffff}) | mark, std::memory_order_release);
  }
}

HolderTable::Pair HolderTable::pair(std::uint64_t hash, std::uint16_t slot) noexcept {
  Pair pair;
  if (shards_ == nullptr) return pair;
  const auto [shard, tag] = place(hash);
  const Range found = range(*shard, tag);
  Word* const words = shard->words.load(std::memory_order_relaxed);
  for (std::uint32_t i = found.begin; i < found.end; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_relaxed);
    if (is_set(word)) {
      std::uint16_t* const data = set(set_of(word)).data.load(std::memory_order_relaxed);
      std::uint16_t* const slots = data + 1;
      std::uint16_t* const at = std::lower_bound(slots, slots + data[0], slot);
      if (at == slots + data[0] || *at != slot) continue;
      pair.word_ = words + i;
      pair.mark_ = at + data[0];
    } else if (slot_of(word) == slot) {
      pair.word_ = words + i;
    }
  }
  return pair;
}

bool HolderTable::add(std::uint64_t hash, std::uint16_t slot, std::uint16_t mark) {
  if (shards_ == nullptr) return false;
  const auto [shard, tag] = place(hash);
  const Range known = range(*shard, tag);
  const bool in_set = known.end > known.begin && is_set(shard->words.load()[known.begin].load());
  bool added = false;
  if (in_set) {
    added = add_to_set(*shard, set_of(shard->words.load()[known.begin].load()), slot, mark);
  } else if (known.end - known.begin == Holders::kFew) {
    added = to_set(*shard, known, slot, mark);
  } else {
    added = insert(*shard, pair_word(tag, slot, mark));
  }
  if (!added) return false;
  ++pairs_;
  if (known.begin == known.end) ++blocks_;
  return true;
}

// In order of tag and then of slot.
bool HolderTable::insert(Shard& shard, std::uint64_t word) {
  if (shard.count + 1 > shard.homes.load(std::memory_order_relaxed) / 8 * 7 && !grow(shard) && shard.size == 0)
    return false;
  for (;;) {
    Word* const words = shard.words.load(std::memory_order_relaxed);
    std::uint32_t at = home(tag_of(word), shard.homes.load(std::memory_order_relaxed));
    while (words[at].load(std::memory_order_relaxed) != 0 && words[at].load(std::memory_order_relaxed) < word) ++at;
    std::uint32_t end = at;
    while (words[end].load(std::memory_order_relaxed) != 0) ++end;
    if (end + 1 == shard.size) {
      if (!grow(shard)) return false;
      continue;
    }
    const Change change{shard};
    for (; end > at; --end) words[end].store(words[end - 1].load(std::memory_order_relaxed), std::memory_order_release);
    words[at].store(word, std::memory_order_release);
    ++shard.count;
    return true;
  }
}

// By a quarter: the order of the words is the order of the new homes, so that this is one pass over both arrays.
bool HolderTable::grow(Shard& shard) {
  const std::uint32_t homes = shard.homes.load(std::memory_order_relaxed);
  const std::uint32_t more = homes + std::max(8U, homes / 4 / 8 * 8);
  const std::uint32_t size = size_for(more);
  void* const room = memory_.take(size * sizeof(Word));
  if (room == nullptr) return false;
  auto* const grown = static_cast<Word*>(room);
  for (std::uint32_t i = 0; i < size; ++i) new (grown + i) Word{0};
  Word* const words = shard.words.load(std::memory_order_relaxed);
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < shard.size; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_relaxed);
    if (word == 0) continue;
    next = std::max(next, home(tag_of(word), more));
    if (next + 1 >= size) {  // never: with more homes no word has fewer places from its own to the end
      memory_.give_back(room, size * sizeof(Word));
      return false;
    }
    grown[next++].store(word, std::memory_order_relaxed);
  }
  {
    const Change change{shard};
    shard.words.store(grown, std::memory_order_release);
    shard.homes.store(more, std::memory_order_release);
  }
  if (words != nullptr) memory_.retire(words, shard.size * sizeof(Word));
  shard.size = size;
  return true;
}

// Takes out one word and moves back those that stand behind it because of it. Pre: a Change lives.
void HolderTable::erase(Shard& shard, std::uint32_t at) noexcept {
  Word* const words = shard.words.load(std::memory_order_relaxed);
  const std::uint32_t homes = shard.homes.load(std::memory_order_relaxed);
  for (std::uint32_t next = at + 1;; at = next++) {
    const std::uint64_t word = words[next].load(std::memory_order_relaxed);
    if (word == 0 || home(tag_of(word), homes) == next) break;
    words[at].store(word, std::memory_order_release);
  }
  words[at].store(0, std::memory_order_release);
  --shard.count;
}

bool HolderTable::remove(std::uint64_t hash, std::uint16_t slot) {
  if (shards_ == nullptr) return false;
  const auto [shard, tag] = place(hash);
  const Range found = range(*shard, tag);
  const Word* const words = shard->words.load(std::memory_order_relaxed);
  bool removed = false;
  for (std::uint32_t i = found.begin; i < found.end && !removed; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_relaxed);
    if (is_set(word)) {
      removed = remove_from_set(*shard, i, slot);
    } else if (slot_of(word) == slot) {
      const Change change{*shard};
      erase(*shard, i);
      if (found.end - found.begin == 1) --blocks_;
      removed = true;
    }
  }
  if (removed) --pairs_;
  return removed;
}

// Five holders and more: the words of the first four make way for one.
bool HolderTable::to_set(Shard& shard, Range range, std::uint16_t slot, std::uint16_t mark) {
  const std::optional<std::uint32_t> number = new_set();
  if (!number) return false;
  constexpr std::uint16_t kCount = Holders::kFew + 1;
  void* const room = memory_.take(set_bytes(kCount));
  if (room == nullptr) {
    free_sets_.push_back(*number);
    return false;
  }
  Word* const words = shard.words.load(std::memory_order_relaxed);
  auto* const data = static_cast<std::uint16_t*>(room);
  data[0] = kCount;
  std::size_t next = 1;
  std::uint64_t key = 0;
  const auto put = [&](std::uint16_t each, std::uint16_t its_mark) {
    data[next] = each;
    data[next + kCount] = its_mark;
    key += slot_key(each);
    ++next;
  };
  bool placed = false;
  for (std::uint32_t i = range.begin; i < range.end; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_relaxed);
    if (!placed && slot < slot_of(word)) put(slot, mark);
    placed = placed || slot < slot_of(word);
    put(slot_of(word), static_cast<std::uint16_t>(word));
  }
  if (!placed) put(slot, mark);
  const Change change{shard};
  set(*number).put(data, kCount, key);
  words[range.begin].store(set_word(tag_of(words[range.begin].load(std::memory_order_relaxed)), *number),
                           std::memory_order_release);
  for (std::uint32_t i = range.begin + 1; i < range.end; ++i) erase(shard, range.begin + 1);
  return true;
}

// A new array each time, so that readers see a whole one.
bool HolderTable::add_to_set(Shard& shard, std::uint32_t number, std::uint16_t slot, std::uint16_t mark) {
  Set& many = set(number);
  std::uint16_t* const old = many.data.load(std::memory_order_relaxed);
  const std::uint16_t count = old[0];
  void* const room = memory_.take(set_bytes(count + 1U));
  if (room == nullptr) return false;
  auto* const data = static_cast<std::uint16_t*>(room);
  const std::uint16_t* const slots = old + 1;
  const std::ptrdiff_t at = std::lower_bound(slots, slots + count, slot) - slots;
  data[0] = count + 1;
  std::uint16_t* out = std::copy_n(slots, at, data + 1);
  *out++ = slot;
  out = std::copy_n(slots + at, count, out);  // the slots behind, and the marks before
  *out++ = mark;
  std::copy_n(slots + count + at, count - at, out);
  {
    const Change change{shard};
    many.put(data, count + 1U, many.key() + slot_key(slot));
  }
  memory_.retire(old, set_bytes(count));
  return true;
}

bool HolderTable::remove_from_set(Shard& shard, std::uint32_t at, std::uint16_t slot) {
  Word& word = shard.words.load(std::memory_order_relaxed)[at];
  const std::uint32_t number = set_of(word.load(std::memory_order_relaxed));
  Set& many = set(number);
  std::uint16_t* const old = many.data.load(std::memory_order_relaxed);
  const std::uint16_t count = old[0];
  std::uint16_t* const slots = old + 1;
  const std::ptrdiff_t gone = std::lower_bound(slots, slots + count, slot) - slots;
  if (gone == count || slots[gone] != slot) return false;
  if (count == 2) {
    const std::ptrdiff_t kept = 1 - gone;
    const Change change{shard};
    word.store(pair_word(tag_of(word.load(std::memory_order_relaxed)), slots[kept], slots[count + kept]),
               std::memory_order_release);
    many.put(nullptr, 0, 0);
    free_sets_.push_back(number);
  } else {
    // What was `old` gives room for the new array if there is none: a removal cannot fail.
    void* const room = memory_.take_always(set_bytes(count - 1U));
    auto* const data = static_cast<std::uint16_t*>(room);
    data[0] = count - 1;
    std::uint16_t* out = std::copy_n(slots, gone, data + 1);
    out = std::copy_n(slots + gone + 1, count - 1, out);  // the slots behind, and the marks before
    std::copy_n(slots + count + gone + 1, count - 1 - gone, out);
    const Change change{shard};
    many.put(data, count - 1U, many.key() - slot_key(slot));
  }
  memory_.retire(old, set_bytes(count));
  return true;
}

std::optional<std::uint32_t> HolderTable::new_set() {
  if (!free_sets_.empty()) {
    const std::uint32_t number = free_sets_.back();
    free_sets_.pop_back();
    return number;
  }
  const std::uint32_t part = static_cast<std::uint32_t>(std::bit_width(sets_ / kFirstPart + 1)) - 1;
  if (part >= parts_.size()) return std::nullopt;
  if (parts_[part].load(std::memory_order_relaxed) == nullptr) {
    const std::size_t count = std::size_t{kFirstPart} << part;
    void* const room = memory_.take(count * sizeof(Set));
    if (room == nullptr) return std::nullopt;
    auto* const sets = static_cast<Set*>(room);
    for (std::size_t i = 0; i < count; ++i) new (sets + i) Set{};
    parts_[part].store(sets, std::memory_order_release);
  }
  return sets_++;
}

HolderTable::Set& HolderTable::set(std::uint32_t number) const noexcept {
  const std::uint32_t part = static_cast<std::uint32_t>(std::bit_width(number / kFirstPart + 1)) - 1;
  return parts_[part].load(std::memory_order_acquire)[number - kFirstPart * ((1U << part) - 1)];
}

bool HolderTable::check_integrity() const {
  std::size_t blocks = 0;
  std::size_t pairs = 0;
  for (std::size_t s = 0; shards_ != nullptr && s < shard_count_; ++s) {
    const Shard& shard = shards_[s];
    std::uint64_t before = 0;
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < shard.size; ++i) {
      const std::uint64_t word = shard.words.load()[i].load();
      if (word == 0) continue;
      const std::uint32_t first = home(tag_of(word), shard.homes.load());
      if (word <= before || i + 1 == shard.size || i < first) return false;
      for (std::uint32_t j = first; j < i; ++j) {
        if (shard.words.load()[j].load() == 0) return false;  // a search would stop there
      }
      if (before == 0 || tag_of(word) != tag_of(before)) ++blocks;
      pairs += is_set(word) ? set(set_of(word)).data.load()[0] : 1U;
      before = word;
      ++count;
    }
    if (count != shard.count) return false;
  }
  return blocks == blocks_ && pairs == pairs_;
}

}  // namespace llmd
