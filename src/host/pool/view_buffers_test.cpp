#include "pool/view_buffers.h"

#include <gtest/gtest.h>

namespace llmd::pool {
namespace {

std::unique_ptr<PoolView> view_of(std::uint64_t version) {
  auto view = std::make_unique<PoolView>();
  view->snapshot.version = version;
  return view;
}

TEST(ViewBuffers, AViewIsWrittenAgainOnceItsLastReaderIsGoneAndNotBefore) {
  const auto buffers = std::make_shared<ViewBuffers>();
  auto published = buffers->publish(view_of(7));
  const PoolView* const address = published.get();
  auto reader = published;
  published.reset();
  EXPECT_EQ(buffers->take(0)->snapshot.version, 0U) << "somebody reads it";
  reader.reset();
  const auto taken = buffers->take(0);
  EXPECT_EQ(taken.get(), address);
  EXPECT_EQ(taken->snapshot.version, 7U) << "as it was published";
  EXPECT_EQ(buffers->take(0)->snapshot.version, 0U);
}

TEST(ViewBuffers, GivesTheNewestAndDropsAllThatAreTooOld) {
  const auto buffers = std::make_shared<ViewBuffers>();
  for (const std::uint64_t version : {3U, 5U, 4U}) buffers->publish(view_of(version)).reset();
  EXPECT_EQ(buffers->take(5)->snapshot.version, 5U);
  EXPECT_EQ(buffers->take(6)->snapshot.version, 0U);
  EXPECT_EQ(buffers->take(0)->snapshot.version, 0U) << "3 and 4 are of another set of endpoints";
}

TEST(ViewBuffers, KeepsAFewOnly) {
  const auto buffers = std::make_shared<ViewBuffers>();
  std::vector<std::shared_ptr<const PoolView>> read;
  for (std::uint64_t version = 1; version <= 2 * ViewBuffers::kSparesMax; ++version)
    read.push_back(buffers->publish(view_of(version)));
  read.clear();
  std::size_t spares = 0;
  while (buffers->take(0)->snapshot.version > 0) ++spares;
  EXPECT_EQ(spares, ViewBuffers::kSparesMax);
}

TEST(ViewBuffers, AViewOutlivesThem) {
  auto buffers = std::make_shared<ViewBuffers>();
  const auto published = buffers->publish(view_of(2));
  buffers.reset();
  EXPECT_EQ(published->snapshot.version, 2U);
}

}  // namespace
}  // namespace llmd::pool
