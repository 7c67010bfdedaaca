#include "kvstore/slab_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/rng.h"

namespace llmd::kvstore {
namespace {

constexpr std::size_t kPage = 4'096;

TEST(SlabPool, GivesBuffersOfTheirOwnThatCanBeWrittenWhole) {
  Budget budget{"kv_store", 100 * kPage};
  SlabPool pool{{.block_bytes = 1'000, .slab_bytes = 8 * kPage}, budget};
  std::vector<PoolBuffer*> taken;
  for (int i = 0; i < 40; ++i) {
    taken.push_back(pool.take());
    ASSERT_NE(taken.back(), nullptr);
    ASSERT_EQ(taken.back()->bytes.size(), 1'000U);
    std::memset(taken.back()->bytes.data(), i, 1'000);
  }
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(taken[static_cast<std::size_t>(i)]->bytes.front(), std::byte(i));
    EXPECT_EQ(taken[static_cast<std::size_t>(i)]->bytes.back(), std::byte(i));
  }
  EXPECT_TRUE(pool.check_integrity());
}

TEST(SlabPool, UsesTheBudgetUpToItsLastBlock) {
  Budget budget{"kv_store", 7 * kPage};
  SlabPool pool{{.block_bytes = kPage, .slab_bytes = 4 * kPage}, budget};
  for (int i = 0; i < 7; ++i) EXPECT_NE(pool.take(), nullptr) << i;
  EXPECT_EQ(pool.take(), nullptr);
  EXPECT_EQ(budget.used_bytes(), 7 * kPage);
}

TEST(SlabPool, GivesEmptySlabsBackButForOneSpare) {
  Budget budget{"kv_store", 100 * kPage};
  SlabPool pool{{.block_bytes = kPage, .slab_bytes = 2 * kPage}, budget};
  std::vector<PoolBuffer*> taken;
  for (int i = 0; i < 20; ++i) taken.push_back(pool.take());
  EXPECT_EQ(budget.used_bytes(), 20 * kPage);
  for (PoolBuffer* buffer : taken) pool.give(*buffer);
  EXPECT_EQ(budget.used_bytes(), 2 * kPage);
  pool.trim();
  EXPECT_EQ(budget.used_bytes(), 0U);
  EXPECT_EQ(pool.memory_bytes(), 0U);
}

TEST(SlabPool, CountsRightAfterAnyTakesAndGives) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    Budget budget{"kv_store", (1 + rng.below(40)) * kPage};
    {
      SlabPool pool{{.block_bytes = 1 + rng.below(3 * kPage), .slab_bytes = rng.below(8 * kPage)}, budget};
      std::vector<PoolBuffer*> taken;
      for (int step = 0; step < 500; ++step) {
        if (rng.chance(0.55)) {
          if (PoolBuffer* buffer = pool.take()) taken.push_back(buffer);
        } else if (!taken.empty()) {
          std::swap(taken[rng.below(taken.size())], taken.back());
          pool.give(*taken.back());
          taken.pop_back();
        }
        ASSERT_EQ(pool.taken(), taken.size());
        ASSERT_TRUE(pool.check_integrity()) << "step " << step;
      }
    }
    EXPECT_EQ(budget.used_bytes(), 0U);
  }
}

TEST(SlabPool, OtherProcessesReadShareableSlabsThroughTheirDescriptor) {
  Budget budget{"test", 1U << 20U};
  SlabPool pool{{.block_bytes = 1'000, .slab_bytes = 8'192, .shareable = true}, budget};
  PoolBuffer* buffer = pool.take();
  ASSERT_NE(buffer, nullptr);
  ASSERT_NE(buffer->slab, nullptr);
  std::ranges::fill(buffer->bytes, std::byte{7});
  const auto offset = buffer->bytes.data() - buffer->slab->bytes.data();
  std::array<std::byte, 1'000> read{};
  EXPECT_EQ(::pread(buffer->slab->fd, read.data(), read.size(), offset), 1'000);
  EXPECT_TRUE(std::ranges::equal(read, buffer->bytes));
  EXPECT_LT(::pwrite(buffer->slab->fd, read.data(), 1, offset), 0) << "they only read";
  const std::uint64_t id = buffer->slab->id;
  pool.give(*buffer);
  pool.trim();
  buffer = pool.take();
  ASSERT_NE(buffer, nullptr);
  EXPECT_NE(buffer->slab->id, id) << "a number is not used again";
  pool.give(*buffer);
  EXPECT_TRUE(pool.check_integrity());
}

TEST(SlabPool, TakesLargerSlabsRatherThanManyDescriptors) {
  Budget budget{"test", 64U << 20U};
  SlabPool pool{{.block_bytes = 4'096, .slab_bytes = 4'096, .shareable = true}, budget};
  PoolBuffer* buffer = pool.take();
  ASSERT_NE(buffer, nullptr);
  EXPECT_GE(buffer->slab->bytes.size(), (64U << 20U) / SlabPool::kSharedSlabsMax);
  pool.give(*buffer);
}

}  // namespace
}  // namespace llmd::kvstore
