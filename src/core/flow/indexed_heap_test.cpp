#include "flow/indexed_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"

namespace llmd::flow {
namespace {

TEST(IndexedHeap, AgreesWithASortedMapOnAnySequenceOfChanges) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng{seed};
    IndexedHeap<std::uint64_t> heap;
    std::vector<std::uint32_t> places(64);
    const auto place = [&](std::uint32_t handle) -> std::uint32_t& { return places[handle]; };
    std::map<std::uint32_t, std::uint64_t> naive;
    for (int step = 0; step < 2'000; ++step) {
      const auto handle = static_cast<std::uint32_t>(rng.below(64));
      const std::uint64_t key = rng.below(1'000) * 64 + handle;  // no two alike
      if (!naive.contains(handle)) {
        heap.push(handle, key, place);
        naive[handle] = key;
      } else if (rng.chance(0.5)) {
        heap.update(handle, key, place);
        naive[handle] = key;
      } else {
        heap.erase(handle, place);
        naive.erase(handle);
      }
      ASSERT_EQ(heap.size(), naive.size());
      if (naive.empty()) continue;
      const auto least = std::ranges::min_element(naive, {}, [](const auto& entry) { return entry.second; });
      ASSERT_EQ(heap.top().handle, least->first) << "step " << step;
      for (const auto& [each, value] : naive) ASSERT_EQ(heap.entries()[places[each]].key, value);
    }
  }
}

}  // namespace
}  // namespace llmd::flow
