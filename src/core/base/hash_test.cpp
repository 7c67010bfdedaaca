#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd {
namespace {

std::string hex(const Digest256& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// FIPS 180-4, appendix B.1.
TEST(Sha256, AgreesWithThePublishedVectorAndIsReusable) {
  Sha256 hasher;
  hasher.update("a").update("bc");
  EXPECT_EQ(hex(hasher.finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hasher.update("abc");
  EXPECT_EQ(hex(hasher.finish()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// The empty input's hash is published with xxHash.
TEST(Xxh64, AgreesWithThePublishedVector) { EXPECT_EQ(xxh64(std::string_view{}), 0xef46db3751d8e999ULL); }

TEST(Checksum64, ChangesWithAnyByte) {
  std::string bytes(1'000, 'a');
  const auto whole = checksum64(std::as_bytes(std::span{bytes.data(), bytes.size()}));
  for (const std::size_t at : {0UL, 500UL, 999UL}) {
    bytes[at] = 'b';
    EXPECT_NE(checksum64(std::as_bytes(std::span{bytes.data(), bytes.size()})), whole) << "byte " << at;
    bytes[at] = 'a';
  }
}

TEST(Digest256, ComesBackFromItsHexAndFromNothingElse) {
  Sha256 hasher;
  const Digest256 digest = hasher.update("abc").finish();
  const std::string text = to_hex(digest);
  EXPECT_EQ(text, hex(digest));
  EXPECT_EQ(digest_from_hex(text), digest);
  const std::string rest = text.substr(1);
  for (const char* first : {"", "00", "-", "g", "+", " "}) {
    const std::string bad = first + rest;
    EXPECT_FALSE(digest_from_hex(bad)) << bad;
  }
}

}  // namespace
}  // namespace llmd
