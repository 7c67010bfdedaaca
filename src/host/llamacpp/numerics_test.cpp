#include <gtest/gtest.h>
#include <llama.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "llamacpp/context.h"
#include "llamacpp/model_facts.h"
#include "llamacpp/test_model.h"
#include "llamacpp/testing/tile_buffer_type.h"

namespace llmd::llamacpp {
namespace {

struct Kind {
  llama_ftype ftype;
  const char* name;
  bool packs = false;  // nearly all weights have a type with tiles
};

class Quantisation : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("llmd-numerics-" + std::to_string(getpid()) + "-" + GetParam().name + ".gguf");
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = GetParam().ftype;
    params.allow_requantize = true;
    params.nthread = 1;  // ThreadSanitizer sees nothing of how llama.cpp's own threads wait for each other
    ASSERT_EQ(llama_model_quantize(test_model_path().c_str(), path_.c_str(), &params), 0U);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

/// Rows of `tokens` [from, to) for a slot; the last one wants logits.
std::vector<BatchRow> rows_of(const std::vector<TokenId>& tokens, std::size_t from, std::size_t to,
                              std::uint32_t slot) {
  std::vector<BatchRow> rows;
  for (std::size_t i = from; i < to; ++i) {
    rows.push_back({tokens[i], static_cast<std::uint32_t>(i), slot, i + 1 == to});
  }
  return rows;
}

TEST_P(Quantisation, LogitsAreTheSameBitsInOnePassInChunksBesideOthersAndFromPackedWeights) {
  const auto model = Model::load({.path = path_.string()});
  ASSERT_TRUE(model) << model.error().to_string();
  const ModelFacts facts = model_facts(**model);
  if (GetParam().packs && testkit::tile_buffer_type() != nullptr) {
    EXPECT_GT(facts.packed_bytes, facts.mapped_bytes);
  }
  const auto foreseen = read_model_facts(path_.string());
  ASSERT_TRUE(foreseen) << foreseen.error().to_string();
  EXPECT_EQ(*foreseen, facts);
  auto threads = ThreadPool::make(1);
  ASSERT_TRUE(threads);
  const auto context = Context::make(*model, **threads, {.slots = 8, .slot_tokens = 256});
  ASSERT_TRUE(context) << context.error().to_string();
  Rng rng{5};
  std::vector<TokenId> tokens;
  for (int i = 0; i < 90; ++i) tokens.push_back(static_cast<TokenId>(rng.below(40'000)));

  ASSERT_TRUE((*context)->decode(rows_of(tokens, 0, tokens.size(), 0)));
  const auto logits = (*context)->logits(tokens.size() - 1);
  const std::vector<float> expected{logits.begin(), logits.end()};
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{33}}) {
    (*context)->clear(1);
    std::vector<float> got;
    for (std::size_t at = 0; at < tokens.size(); at += chunk) {
      const auto rows = rows_of(tokens, at, std::min(tokens.size(), at + chunk), 1);
      ASSERT_TRUE((*context)->decode(rows));
      const auto last = (*context)->logits(rows.size() - 1);
      got.assign(last.begin(), last.end());
    }
    EXPECT_EQ(got, expected) << "chunks of " << chunk;
  }
  const auto mapped = Model::load({.path = path_.string(), .pack_weights = false});
  ASSERT_TRUE(mapped) << mapped.error().to_string();
  EXPECT_EQ(model_facts(**mapped).packed_bytes, 0U);
  const auto in_order = Context::make(*mapped, **threads, {.slots = 1, .slot_tokens = 256});
  ASSERT_TRUE(in_order) << in_order.error().to_string();
  ASSERT_TRUE((*in_order)->decode(rows_of(tokens, 0, tokens.size(), 0)));
  EXPECT_TRUE(std::ranges::equal((*in_order)->logits(tokens.size() - 1), expected)) << "weights that are not packed";
  // The last token beside the prompts and last tokens of five others.
  ASSERT_TRUE((*context)->decode(rows_of(tokens, 0, tokens.size() - 1, 2)));
  std::vector<BatchRow> rows = rows_of(tokens, tokens.size() - 1, tokens.size(), 2);
  for (std::uint32_t slot = 3; slot < 8; ++slot) {
    const auto other = rows_of(tokens, 0, slot * 7, slot);
    rows.insert(rows.end(), other.begin(), other.end());
  }
  ASSERT_TRUE((*context)->decode(rows));
  const auto beside = (*context)->logits(0);
  EXPECT_TRUE(std::ranges::equal(beside, expected)) << "beside five others";
}

INSTANTIATE_TEST_SUITE_P(
    Types, Quantisation,
    testing::Values(Kind{LLAMA_FTYPE_MOSTLY_Q4_0, "Q4_0", true}, Kind{LLAMA_FTYPE_MOSTLY_Q4_1, "Q4_1", true},
                    Kind{LLAMA_FTYPE_MOSTLY_Q8_0, "Q8_0", true}, Kind{LLAMA_FTYPE_MOSTLY_Q5_1, "Q5_1"},
                    Kind{LLAMA_FTYPE_MOSTLY_Q4_K_M, "Q4_K_M"}, Kind{LLAMA_FTYPE_MOSTLY_Q6_K, "Q6_K"},
                    Kind{LLAMA_FTYPE_MOSTLY_F16, "F16"}, Kind{LLAMA_FTYPE_MOSTLY_BF16, "BF16"}),
    [](const auto& tested) { return std::string{tested.param.name}; });

}  // namespace
}  // namespace llmd::llamacpp
