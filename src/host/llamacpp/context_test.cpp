#include "llamacpp/context.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "llamacpp/test_model.h"

namespace llmd::llamacpp {
namespace {

constexpr std::uint32_t kBlock = 32;

class ContextTest : public testing::Test {
 protected:
  ContextTest() {
    auto threads = ThreadPool::make(1);
    EXPECT_TRUE(threads);
    threads_ = std::move(*threads);
    Rng rng{7};
    for (int i = 0; i < 150; ++i) tokens_.push_back(static_cast<TokenId>(rng.below(40'000)));
  }
  std::unique_ptr<Context> make(std::uint32_t slots, std::uint32_t slot_tokens = 512) {
    auto context = Context::make(test_model(), *threads_, {.slots = slots, .slot_tokens = slot_tokens});
    EXPECT_TRUE(context) << (context ? "" : context.error().to_string());
    return std::move(*context);
  }
  /// Tokens [from, to) in pieces of `chunk`; the logits of the last.
  std::vector<float> run(Context& context, std::uint32_t slot, std::size_t from, std::size_t to, std::size_t chunk) {
    std::vector<float> last;
    for (std::size_t at = from; at < to; at += chunk) {
      std::vector<BatchRow> rows;
      for (std::size_t i = at; i < std::min(to, at + chunk); ++i) {
        rows.push_back({tokens_[i], static_cast<std::uint32_t>(i), slot, i + 1 == to});
      }
      const auto done = context.decode(rows);
      EXPECT_TRUE(done) << done.error().to_string();
      if (at + chunk < to) continue;
      const auto logits = context.logits(rows.size() - 1);
      last.assign(logits.begin(), logits.end());
    }
    return last;
  }
  std::unique_ptr<ThreadPool> threads_;
  std::vector<TokenId> tokens_;
};

TEST_F(ContextTest, LogitsAreTheSameBitsHoweverThePromptIsChunked) {
  auto context = make(4);
  const auto whole = run(*context, 0, 0, tokens_.size(), tokens_.size());
  ASSERT_FALSE(whole.empty());
  for (const std::size_t chunk : {1, 7, 32, 100}) {
    context->clear(2);
    EXPECT_EQ(run(*context, 2, 0, tokens_.size(), chunk), whole) << "chunks of " << chunk;
  }
}

TEST_F(ContextTest, SlotsFarApartDecodeTogetherWithTheSameBits) {
  auto context = make(12);
  const std::vector<std::uint32_t> slots{11, 0, 6, 3};
  constexpr std::size_t kFirst = 100;
  for (std::size_t i = 0; i < slots.size(); ++i) run(*context, slots[i], 0, kFirst + i * 7, 64);
  run(*context, 1, 0, 50, 64);  // holds KV, but takes no part
  std::vector<std::vector<float>> got(slots.size());
  for (std::size_t step = 0; step < 5; ++step) {
    std::vector<BatchRow> rows;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const std::size_t at = kFirst + i * 7 + step;
      rows.push_back({tokens_[at], static_cast<std::uint32_t>(at), slots[i], true});
    }
    ASSERT_TRUE(context->decode(rows));
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const auto logits = context->logits(i);
      got[i].assign(logits.begin(), logits.end());
    }
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    auto alone = make(1);
    const std::size_t end = kFirst + i * 7 + 5;
    EXPECT_EQ(run(*alone, 0, 0, end, end), got[i]) << "slot " << slots[i];
    std::vector<std::byte> moved(kBlock * context->bytes_per_token());
    std::vector<std::byte> expected(moved.size());
    ASSERT_TRUE(context->export_tokens(slots[i], kBlock, kBlock, moved));
    ASSERT_TRUE(alone->export_tokens(0, kBlock, kBlock, expected));
    EXPECT_EQ(moved, expected) << "slot " << slots[i];
  }
  const auto bystander = run(*context, 1, 50, 60, 10);
  auto alone = make(1);
  EXPECT_EQ(run(*alone, 0, 0, 60, 60), bystander);
  context->clear(6);
  EXPECT_EQ(run(*context, 6, 0, 30, 30), run(*make(1), 0, 0, 30, 30));
}

TEST_F(ContextTest, LogitsAreTheSameBitsAfterBlocksMovedToAnotherContext) {
  auto source = make(4);
  const auto expected = run(*source, 3, 0, tokens_.size(), tokens_.size());
  auto target = make(2, 1'024);
  ASSERT_TRUE(source->has_blocks());
  ASSERT_EQ(source->kv_signature(), target->kv_signature());
  std::vector<std::vector<std::byte>> blocks;
  for (std::uint32_t block = 0; block < 4; ++block) {
    blocks.emplace_back(kBlock * source->bytes_per_token());
    const auto copied = source->export_tokens(3, block * kBlock, kBlock, blocks.back());
    ASSERT_TRUE(copied) << copied.error().to_string();
  }
  const std::vector<std::span<const std::byte>> views{blocks.begin(), blocks.end()};
  const auto imported = target->import_blocks(1, views, kBlock);
  ASSERT_TRUE(imported) << imported.error().to_string();
  EXPECT_EQ(run(*target, 1, 4 * kBlock, tokens_.size(), 11), expected);
  std::vector<std::byte> again(blocks[2].size());
  ASSERT_TRUE(target->export_tokens(1, 2 * kBlock, kBlock, again));
  EXPECT_EQ(again, blocks[2]);
}

TEST_F(ContextTest, RefusesToExportTokensThatASlotDoesNotHold) {
  auto context = make(2);
  static_cast<void>(run(*context, 0, 0, 40, 40));
  std::vector<std::byte> out(kBlock * context->bytes_per_token());
  EXPECT_TRUE(context->export_tokens(0, 0, kBlock, out));
  EXPECT_FALSE(context->export_tokens(0, kBlock, kBlock, out));
  EXPECT_FALSE(context->export_tokens(1, 0, kBlock, out));
  context->clear(0);
  EXPECT_FALSE(context->export_tokens(0, 0, kBlock, out));
}

TEST_F(ContextTest, AFailedBatchSaysWhyAndTheContextGoesOn) {
  auto context = make(2, 256);
  std::vector<BatchRow> rows;
  for (std::uint32_t i = 0; i < 300; ++i) rows.push_back({1, i, 0, i == 299});
  const auto done = context->decode(rows);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kInternal);
  EXPECT_NE(done.error().what.find("no free cells"), std::string::npos) << done.error().what;
  context->clear(0);
  EXPECT_FALSE(run(*context, 0, 0, 10, 10).empty());
}

TEST_F(ContextTest, PoolsAPromptIntoOneVector) {
  auto context = Context::make(test_model(), *threads_, {.slots = 1, .slot_tokens = 256, .pooling = Pooling::kMean});
  ASSERT_TRUE(context) << context.error().to_string();
  std::vector<BatchRow> rows;
  for (std::uint32_t i = 0; i < 20; ++i) rows.push_back({tokens_[i], i, 0, true});
  ASSERT_TRUE((*context)->decode(rows));
  const auto vector = (*context)->embedding(0);
  ASSERT_EQ(vector.size(), 576U);
  EXPECT_NE(*std::max_element(vector.begin(), vector.end()), 0.0F);
}

}  // namespace
}  // namespace llmd::llamacpp
