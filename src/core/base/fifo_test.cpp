#include "base/fifo.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "base/rng.h"

namespace llmd {
namespace {

TEST(Fifo, AgreesWithADequeOnAnySteps) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    Rng rng{seed};
    Fifo<std::unique_ptr<int>> fifo;
    std::deque<int> expected;
    int next = 0;
    for (int step = 0; step < 20'000; ++step) {
      const bool grows = rng.below(100) < (step / 1'000 % 2 == 0 ? 55U : 45U);
      if (grows) {
        fifo.push_back(std::make_unique<int>(next));
        expected.push_back(next++);
      } else if (!expected.empty()) {
        ASSERT_EQ(*fifo.front(), expected.front()) << "seed " << seed << ", step " << step;
        ASSERT_EQ(*fifo.pop_front(), expected.front());
        expected.pop_front();
      }
      if (rng.below(2'000) == 0) {
        fifo.clear();
        expected.clear();
      }
      ASSERT_EQ(fifo.size(), expected.size());
      ASSERT_EQ(fifo.empty(), expected.empty());
    }
  }
}

}  // namespace
}  // namespace llmd
