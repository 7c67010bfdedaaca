#include "scheduling/filters/bounded_load_filter.h"

#include <gtest/gtest.h>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;
using Names = std::vector<std::string>;

TEST(BoundedLoadFilter, KeepsWhatHasRoomOrIsNotMuchBusierThanTheMean) {
  const struct {
    std::string_view name;
    std::vector<std::uint32_t> in_flight;
    BoundedLoadFilter::Options options;
    Names kept;
  } cases[] = {
      {"idle", {0, 0, 0}, {.free_requests = 1, .mean_multiple_max = 1}, {"a", "b", "c"}},
      {"one has room although the others are idle", {7, 0, 0}, {.free_requests = 8}, {"a", "b", "c"}},
      {"one is full", {8, 0, 0}, {.free_requests = 8}, {"b", "c"}},
      {"all are full, one is much busier", {40, 20, 18}, {.free_requests = 8}, {"b", "c"}},
      {"all are full and alike", {20, 21, 22}, {.free_requests = 8}, {"a", "b", "c"}},
      {"all are full and equal, with no slack",
       {20, 20, 20},
       {.free_requests = 8, .mean_multiple_max = 1},
       {"a", "b", "c"}},
  };
  for (const auto& c : cases) {
    const PluginScene scene{{{.name = "a", .inflight = c.in_flight[0]},
                             {.name = "b", .inflight = c.in_flight[1]},
                             {.name = "c", .inflight = c.in_flight[2]}}};
    EXPECT_EQ(scene.kept(BoundedLoadFilter{c.options}), c.kept) << c.name;
  }
}

TEST(BoundedLoadFilter, SaysWhatAnEndpointHadTooMuch) {
  const PluginScene scene{{{.name = "a", .inflight = 9}, {.name = "b"}}};
  EXPECT_EQ(scene.reason(BoundedLoadFilter{{}}, 0),
            "9 requests in flight; wanted fewer than 8 or than 1.5 times the mean");
}

}  // namespace
}  // namespace llmd::scheduling
