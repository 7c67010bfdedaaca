#include "base/uuid.h"

#include <gtest/gtest.h>

#include <regex>

#include "base/blake2s.h"

namespace llmd {
namespace {

TEST(Uuid, HasTheFormOfVersionFourAndDiffers) {
  Rng rng{7};
  const std::regex form{"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"};
  const std::string first = uuid4(rng);
  const std::string second = uuid4(rng);
  EXPECT_TRUE(std::regex_match(first, form)) << first;
  EXPECT_TRUE(std::regex_match(second, form)) << second;
  EXPECT_NE(first, second);
}

TEST(Blake2s, IsRfc7693s) {
  EXPECT_EQ(to_hex(blake2s256("abc")), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

}  // namespace
}  // namespace llmd
