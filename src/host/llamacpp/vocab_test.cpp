#include "llamacpp/vocab.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "llamacpp/test_model.h"

namespace llmd::llamacpp {
namespace {

TEST(Vocab, DecodesWhatItEncoded) {
  const Vocab vocab{test_model()};
  for (const std::string text : {"", "Hello, world", "caf\xc3\xa9 \xf0\x9f\x98\x80", "a\nb\t  c", "<|im_start|>"}) {
    EXPECT_EQ(vocab.decode(vocab.encode(text, {.add_special = false}), true), text);
  }
}

TEST(Vocab, ReadsSpecialTextAsATokenOnlyWhenAsked) {
  const Vocab vocab{test_model()};
  EXPECT_EQ(vocab.encode("<|im_start|>", {.add_special = false, .parse_special = true}).size(), 1U);
  EXPECT_GT(vocab.encode("<|im_start|>", {.add_special = false, .parse_special = false}).size(), 1U);
}

TEST(Vocab, RefusesTokensOutsideItself) {
  const Vocab vocab{test_model()};
  EXPECT_FALSE(vocab.is_valid(-1));
  EXPECT_FALSE(vocab.is_valid(vocab.size()));
  EXPECT_EQ(vocab.piece(vocab.size(), true), "");
  EXPECT_FALSE(vocab.is_end_of_generation(-5));
}

}  // namespace
}  // namespace llmd::llamacpp
