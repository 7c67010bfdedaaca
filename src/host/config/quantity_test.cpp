#include "config/quantity.h"

#include <gtest/gtest.h>

namespace llmd::config {
namespace {

TEST(Quantity, ReadsWhatKubernetesReads) {
  const struct {
    std::string_view text;
    std::optional<std::int64_t> expected;
  } cases[] = {{"0", 0},
               {"200", 200},
               {"4Gi", 4LL << 30U},
               {"1G", 1'000'000'000},
               {"1.5k", 1'500},
               {"500m", 1},
               {"2e3", 2'000},
               {"1E3", 1'000},
               {"1E", 1'000'000'000'000'000'000},
               {"-1", -1},
               {"+5", 5},
               {"", std::nullopt},
               {"4GiB", std::nullopt},
               {"Gi", std::nullopt},
               {"--1", std::nullopt},
               {"1e99", std::nullopt},
               {"16Ei", std::nullopt},
               {"nan", std::nullopt}};
  for (const auto& c : cases) EXPECT_EQ(parse_quantity(c.text), c.expected) << c.text;
}

}  // namespace
}  // namespace llmd::config
