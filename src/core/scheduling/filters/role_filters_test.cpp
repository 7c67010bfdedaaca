#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/filters/decode_filter.h"
#include "scheduling/filters/prefill_filter.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;

TEST(RoleFilters, KeepTheRolesThatLlmdKeeps) {
  const struct {
    std::string name;
    std::string role;
    bool decodes;
    bool prefills;
  } cases[] = {
      {"no label", "", true, false},
      {"decode", "decode", true, false},
      {"prefill", "prefill", false, true},
      {"both", "both", true, true},
      {"prefill-decode", "prefill-decode", true, true},
      {"encode", "encode", false, false},
      {"encode-prefill", "encode-prefill", false, true},
      {"encode-prefill-decode", "encode-prefill-decode", true, true},
      {"unknown role", "Decode", false, false},
  };
  for (const auto& c : cases) {
    const PluginScene scene{{{.name = "a", .role = c.role}}};
    EXPECT_EQ(scene.kept(DecodeFilter{}).size(), c.decodes ? 1U : 0U) << c.name;
    EXPECT_EQ(scene.kept(PrefillFilter{}).size(), c.prefills ? 1U : 0U) << c.name;
  }
}

TEST(RoleFilters, SayWhatTheySawAndWanted) {
  const PluginScene scene{{{.name = "a", .role = "prefill"}, {.name = "b"}}};
  EXPECT_EQ(scene.reason(DecodeFilter{}, 0), "llm-d.ai/role is prefill; wanted one that decodes, or none");
  EXPECT_EQ(scene.reason(PrefillFilter{}, 1), "llm-d.ai/role is absent; wanted one that prefills");
}

TEST(RoleFilters, KeepTheOrderOfTheCandidates) {
  const PluginScene scene{
      {{.name = "a"}, {.name = "b", .role = "prefill"}, {.name = "c", .role = "both"}, {.name = "d"}}};
  EXPECT_EQ(scene.kept(DecodeFilter{}), (std::vector<std::string>{"a", "c", "d"}));
}

}  // namespace
}  // namespace llmd::scheduling
