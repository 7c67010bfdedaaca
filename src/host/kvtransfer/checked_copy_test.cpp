#include "kvtransfer/checked_copy.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "kvtransfer/testing/peers.h"

namespace llmd::kvtransfer {
namespace {

TEST(CheckedCopy, CopiesAndGivesTheChecksumOfTheBytes) {
  for (const std::size_t bytes : {0UL, 1UL, 240UL, 16'383UL, 16'384UL, 16'385UL, 737'280UL}) {
    const auto from = testkit::content(bytes, bytes);
    std::vector<std::byte> to(bytes);
    EXPECT_EQ(checked_copy(from, to), checksum64(from)) << bytes;
    EXPECT_EQ(to, from) << bytes;
  }
}

}  // namespace
}  // namespace llmd::kvtransfer
