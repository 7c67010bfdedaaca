#include "scheduling/producers/media_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "scheduling/producers/mm_embeddings_cache_producer.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using Media = std::vector<MediaItem>;

std::vector<float> matches(const MediaIndex& index, const EndpointSnapshot& snapshot, const Media& media) {
  std::vector<float> matched(snapshot.endpoints.size(), -1.0F);
  index.match(media, snapshot.endpoints, matched);
  return matched;
}

TEST(MediaIndex, WeighsWhatEachEndpointWasSent) {
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "a"}, {.name = "b"}, {.name = "c"}});
  MediaIndex index{{}};
  index.insert("a", Media{{.hash = 1}, {.hash = 2}});
  index.insert("b", Media{{.hash = 2}});
  const Media asked{{.hash = 1, .weight = 10}, {.hash = 2, .weight = 100}, {.hash = 3, .weight = 1'000}};
  EXPECT_EQ(matches(index, snapshot, asked), (std::vector<float>{110, 100, 0}));
  EXPECT_EQ(matches(index, snapshot, {{.hash = 2, .weight = 5}, {.hash = 2, .weight = 5}}),
            (std::vector<float>{10, 10, 0}));
  EXPECT_EQ(matches(index, snapshot, {}), (std::vector<float>{0, 0, 0}));
}

TEST(MediaIndex, LosesTheItemSentLongestAgo) {
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "a"}});
  MediaIndex index{{.items_max = 2}};
  index.insert("a", Media{{.hash = 1}, {.hash = 2}});
  EXPECT_EQ(matches(index, snapshot, {{.hash = 1}}).front(), 1.0F) << "a match is no use";
  index.insert("a", Media{{.hash = 1}});
  index.insert("a", Media{{.hash = 3}});
  EXPECT_EQ(matches(index, snapshot, {{.hash = 1}}).front(), 1.0F);
  EXPECT_EQ(matches(index, snapshot, {{.hash = 2}}).front(), 0.0F);
  EXPECT_EQ(matches(index, snapshot, {{.hash = 3}}).front(), 1.0F);
  EXPECT_EQ(index.size("a"), 2U);
}

TEST(MediaIndex, ForgetsTheEndpointSentMediaLongestAgoAndThoseRemoved) {
  MediaIndex index{{.endpoints_max = 2}};
  index.insert("a", Media{{.hash = 1}});
  index.insert("b", Media{{.hash = 1}});
  index.insert("a", Media{{.hash = 2}});
  index.insert("c", Media{{.hash = 1}});
  EXPECT_EQ(index.size("a"), 2U);
  EXPECT_EQ(index.size("b"), 0U);
  EXPECT_EQ(index.size("c"), 1U);
  index.remove("a");
  index.remove("nobody");
  EXPECT_EQ(index.size("a"), 0U);
}

TEST(MediaIndex, KeepsNothingForARequestWithoutMedia) {
  MediaIndex index{{.endpoints_max = 1}};
  index.insert("a", Media{{.hash = 1}});
  index.insert("b", Media{});
  EXPECT_EQ(index.size("a"), 1U);
}

TEST(MediaIndex, DoesAsANaiveOne) {
  constexpr std::uint32_t kItems = 5;
  const std::vector<std::string> names{"a", "b", "c"};
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "a"}, {.name = "b"}, {.name = "c"}});
  MediaIndex index{{.items_max = kItems, .seed = 7}};
  std::map<std::string, std::deque<std::uint64_t>> naive;  // newest last
  Rng rng{1};
  for (int round = 0; round < 5'000; ++round) {
    const std::string& name = names[rng.below(names.size())];
    if (rng.chance(0.02)) {
      index.remove(name);
      naive.erase(name);
      continue;
    }
    const std::uint64_t hash = rng.below(12);
    index.insert(name, Media{{.hash = hash}});
    std::deque<std::uint64_t>& held = naive[name];
    std::erase(held, hash);
    held.push_back(hash);
    if (held.size() > kItems) held.pop_front();
    const std::uint64_t asked = rng.below(12);
    const std::vector<float> matched = matches(index, snapshot, {{.hash = asked, .weight = 3}});
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool has = std::ranges::find(naive[names[i]], asked) != naive[names[i]].end();
      ASSERT_EQ(matched[i], has ? 3.0F : 0.0F) << round;
      ASSERT_EQ(index.size(names[i]), naive[names[i]].size()) << round;
    }
  }
}

TEST(MmEmbeddingsCacheProducer, CountsTwoMebibytesAnItem) {
  const struct {
    testing::GivenParameters settings;
    std::uint32_t items;
  } cases[] = {
      {{}, 2'048},
      {{{"cacheSizeInMBPerServer", std::int64_t{2'048}}}, 1'024},
      {{{"cacheSizeInMBPerServer", std::int64_t{1}}}, 1},
      {{{"cacheSizeInMBPerServer", std::int64_t{0}}}, 2'048},
      {{{"cacheSizeInMBPerServer", std::int64_t{-5}}}, 2'048},
      {{{"cacheSizeInMBPerServer", std::int64_t{1'000'000'000'000}}}, 1'000'000},
  };
  for (const auto& c : cases) {
    const Parameters parameters = testing::parameters_of(c.settings);
    const auto options = MmEmbeddingsCacheProducer::read({MmEmbeddingsCacheProducer::kSpec.parameters, parameters});
    EXPECT_EQ(options.items_max, c.items);
  }
}

}  // namespace
}  // namespace llmd::scheduling
