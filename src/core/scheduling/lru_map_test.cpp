#include "scheduling/lru_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/rng.h"

namespace llmd::scheduling {
namespace {

/// A list that is searched.
struct NaiveLru {
  struct Entry {
    std::uint64_t key;
    int value;
  };
  std::vector<Entry> entries;  // the oldest first

  Entry* find(std::uint64_t key) {
    const auto found = std::ranges::find(entries, key, &Entry::key);
    return found == entries.end() ? nullptr : &*found;
  }
  int& touch(std::uint64_t key) {
    Entry entry{key, 0};
    if (const Entry* known = find(key)) {
      entry = *known;
      std::erase_if(entries, [&](const Entry& each) { return each.key == key; });
    }
    entries.push_back(entry);
    return entries.back().value;
  }
};

template <class Lru>
void compare_with_naive(Lru& lru) {
  constexpr std::size_t kBound = 12;
  NaiveLru naive;
  Rng rng{7};
  for (int step = 0; step < 5'000; ++step) {
    const auto key = static_cast<std::uint64_t>(rng.uniform() * 20);
    if (rng.uniform() < 0.5) {
      lru.touch(key) = step;
      naive.touch(key) = step;
    } else {
      const int* value = lru.find(key);
      const NaiveLru::Entry* expected = naive.find(key);
      ASSERT_EQ(value == nullptr, expected == nullptr) << step;
      if (value != nullptr) {
        ASSERT_EQ(*value, expected->value) << step;
      }
    }
    while (lru.size() > kBound) {
      ASSERT_EQ(lru.oldest().key, naive.entries.front().key) << step;
      lru.erase_oldest();
      naive.entries.erase(naive.entries.begin());
    }
    std::vector<int> values;
    lru.visit_oldest_first([&](int value) { values.push_back(value); });
    ASSERT_EQ(values.size(), naive.entries.size()) << step;
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], naive.entries[i].value) << step;
  }
}

TEST(LruMap, DoesAsASearchedListDoes) {
  LruMap<int> hashed;
  compare_with_naive(hashed);
  LruMap<int, std::map> ordered;
  compare_with_naive(ordered);
}

}  // namespace
}  // namespace llmd::scheduling
