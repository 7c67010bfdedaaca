#include "flags/topology.h"

#include <gtest/gtest.h>

namespace llmd::flags {
namespace {

TEST(Topology, ReadsRolesAndCounts) {
  const auto topology = parse_topology("prefill:1,decode:2");
  ASSERT_TRUE(topology) << topology.error().to_string();
  const std::vector<Topology::Group> expected{{EndpointRole::kPrefill, 1}, {EndpointRole::kDecode, 2}};
  EXPECT_EQ(topology->groups, expected);
  EXPECT_EQ(topology->workers(), 3U);
  EXPECT_TRUE(topology->disaggregated());
  EXPECT_EQ(parse_topology("unified")->workers(), 1U);
  EXPECT_FALSE(parse_topology("unified:4")->disaggregated());
}

TEST(Topology, SaysWhatItExpected) {
  struct Case {
    const char* text;
    const char* part;
  };
  for (const Case& item :
       {Case{"", "there must be a worker"}, Case{"unified:0", "from 1 to 64"}, Case{"unified:x", "from 1 to 64"},
        Case{"unified:65", "from 1 to 64"}, Case{"unified:40,decode:40", "at most 64"}, Case{"router:1", "roles are"},
        Case{"prefill:1", "prefill workers alone"}, Case{",", "roles are"}}) {
    const auto topology = parse_topology(item.text);
    ASSERT_FALSE(topology) << item.text;
    EXPECT_NE(topology.error().what.find(item.part), std::string::npos) << topology.error().what;
  }
}

TEST(Topology, SharesTheCoresButLeavesEachWorkerOneThread) {
  EXPECT_EQ(threads_per_worker(8, 2), 4U);
  EXPECT_EQ(threads_per_worker(2, 3), 1U);
  EXPECT_EQ(threads_per_worker(0, 1), 1U);
}

}  // namespace
}  // namespace llmd::flags
