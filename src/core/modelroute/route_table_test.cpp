#include "modelroute/route_table.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <vector>

#include "base/rng.h"

namespace llmd::modelroute {
namespace {

Route route(std::string name, Match match, std::vector<Target> targets = {{.pool = 0, .model = {}}}) {
  return {.name = std::move(name), .match = std::move(match), .targets = std::move(targets)};
}

RouteTable table_of(std::vector<Route> routes) {
  auto table = RouteTable::make(std::move(routes), {{.name = "gold"}});
  EXPECT_TRUE(table) << table.error().to_string();
  return *std::move(table);
}

std::string found_in(const RouteTable& table, const Query& query) {
  const Found found = table.find(query);
  return found.route == nullptr ? "none" : found.route->name + ":" + std::string{found.model};
}

TEST(RouteTable, TakesTheMostSpecificMatchWhateverTheOrderOfTheFile) {
  const RouteTable table = table_of({
      route("all", {}),
      route("short", {.model = "qwen*", .version = {}, .sla_class = {}}),
      route("long", {.model = "qwen-32*", .version = {}, .sla_class = {}}),
      route("exact", {.model = "qwen-32b", .version = {}, .sla_class = {}}),
      route("exact-again", {.model = "qwen-32b", .version = {}, .sla_class = {}}),
      route("gold", {.model = "qwen-32b", .version = {}, .sla_class = "gold"}),
      route("v2", {.model = "qwen-32b", .version = "v2", .sla_class = {}}),
      route("v2-gold", {.model = "qwen-32b", .version = "v2", .sla_class = "gold"}),
      route("header", {.model = "qwen-32b", .version = {}, .sla_class = {}, .headers = {{"x-team", "red"}}}),
      route("any-gold", {.model = {}, .version = {}, .sla_class = "gold"}),
  });
  const auto red = [](std::string_view name) -> std::optional<std::string_view> {
    if (name == "x-team") return "red";
    return std::nullopt;
  };
  const struct {
    const char* name;
    Query query;
    const char* found;
  } kCases[] = {
      {"exact", {.model = "qwen-32b", .version = "", .sla_class = ""}, "exact:qwen-32b"},
      {"long", {.model = "qwen-32c", .version = "", .sla_class = ""}, "long:qwen-32c"},
      {"short", {.model = "qwen-7b", .version = "", .sla_class = ""}, "short:qwen-7b"},
      {"all", {.model = "llama", .version = "", .sla_class = ""}, "all:llama"},
      {"no name", {.model = "", .version = "", .sla_class = ""}, "all:"},
      {"class", {.model = "qwen-32b", .version = "", .sla_class = "gold"}, "gold:qwen-32b"},
      {"class of all", {.model = "llama", .version = "", .sla_class = "gold"}, "any-gold:llama"},
      {"class that no route names", {.model = "qwen-32b", .version = "", .sla_class = "free"}, "exact:qwen-32b"},
      {"version", {.model = "qwen-32b", .version = "v2", .sla_class = ""}, "v2:qwen-32b"},
      {"version in the name", {.model = "qwen-32b@v2", .version = "", .sla_class = ""}, "v2:qwen-32b"},
      {"both", {.model = "qwen-32b@v2", .version = "", .sla_class = "gold"}, "v2-gold:qwen-32b"},
      {"header", {.model = "qwen-32b", .version = "", .sla_class = "", .header = red}, "header:qwen-32b"},
      {"unknown version by header", {.model = "qwen-32b", .version = "v9", .sla_class = ""}, "none"},
      {"unknown version is a name", {.model = "qwen-32b@v9", .version = "", .sla_class = ""}, "long:qwen-32b@v9"},
  };
  for (const auto& each : kCases) EXPECT_EQ(found_in(table, each.query), each.found) << each.name;
}

TEST(RouteTable, ANameWithAnAtSignOfItsOwnMatchesAsItIs) {
  const RouteTable table = table_of({route("own", {.model = "claude@20240620", .version = {}, .sla_class = {}}),
                                     route("v", {.model = "claude", .version = "20240620", .sla_class = {}})});
  EXPECT_EQ(found_in(table, {.model = "claude@20240620", .version = "", .sla_class = ""}), "v:claude");
  EXPECT_EQ(found_in(table, {.model = "claude@", .version = "", .sla_class = ""}), "none");
  EXPECT_EQ(found_in(table, {.model = "@20240620", .version = "", .sla_class = ""}), "none");
  const RouteTable plain = table_of({route("own", {.model = "claude@20240620", .version = {}, .sla_class = {}})});
  EXPECT_EQ(found_in(plain, {.model = "claude@20240620", .version = "", .sla_class = ""}), "own:claude@20240620");
}

TEST(RouteTable, DefaultMeansTheFirstExactModelWithoutConditions) {
  const RouteTable table = table_of({route("p", {.model = "a*", .version = {}, .sla_class = {}}),
                                     route("v", {.model = "b", .version = "v1", .sla_class = {}}),
                                     route("c", {.model = "c", .version = {}, .sla_class = {}}),
                                     route("d", {.model = "d", .version = {}, .sla_class = {}})});
  EXPECT_EQ(table.default_model(), "c");
  EXPECT_EQ(routed_names(table), (std::vector<std::string>{"a*", "b@v1", "c", "d"}));
}

TEST(RouteTable, RefusesTargetsThatCannotShare) {
  const struct {
    const char* name;
    std::vector<Target> targets;
    const char* what;
  } kCases[] = {
      {"none", {}, "no targets"},
      {"mixed", {{.pool = 0, .model = {}, .weight = 1}, {.pool = 1, .model = {}}}, "some have none"},
      {"zero", {{.pool = 0, .model = {}, .weight = 0}}, "weight 0"},
      {"many", std::vector<Target>(kTargetsMax + 1), "17 targets; 16 fit"},
  };
  for (const auto& each : kCases) {
    const auto made = RouteTable::make({route("r", {}, each.targets)}, {});
    ASSERT_FALSE(made) << each.name;
    EXPECT_EQ(made.error().code, ErrorCode::kConfigInvalid) << each.name;
    EXPECT_NE(made.error().what.find(each.what), std::string::npos) << each.name << ": " << made.error().what;
    EXPECT_TRUE(made.error().what.starts_with("route \"r\": ")) << each.name;
  }
}

Route weighted(std::vector<std::optional<std::uint32_t>> weights) {
  Route made = route("w", {}, {});
  for (const auto& weight : weights)
    made.targets.push_back({.pool = made.targets.size(), .model = {}, .weight = weight});
  return made;
}

std::vector<int> shares(const Route& of, std::vector<std::uint8_t> may) {
  Rng rng{7};
  std::vector<int> counts(of.targets.size());
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t first = rng.next();
    if (const auto chosen = choose_target(of, may, {.first = first, .second = rng.next()})) ++counts[*chosen];
  }
  return counts;
}

TEST(ChooseTarget, SharesByWeightAndEquallyWithoutAny) {
  const auto canary = shares(weighted({90, 10}), {1, 1});
  EXPECT_NEAR(canary[0], 90'000, 500);
  EXPECT_NEAR(canary[1], 10'000, 500);
  for (const int count : shares(weighted({{}, {}, {}, {}}), {1, 1, 1, 1})) EXPECT_NEAR(count, 25'000, 700);
  EXPECT_EQ(shares(weighted({0, 1}), {1, 1}), (std::vector<int>{0, 100'000}));
}

TEST(ChooseTarget, GivesTheShareOfOneThatMayNotToTheOthersByTheirWeights) {
  const auto left = shares(weighted({60, 30, 10}), {0, 1, 1});
  EXPECT_EQ(left[0], 0);
  EXPECT_NEAR(left[1], 75'000, 700);
  EXPECT_NEAR(left[2], 25'000, 700);
  EXPECT_EQ(shares(weighted({60, 40}), {0, 0}), (std::vector<int>{0, 0}));
  EXPECT_EQ(shares(weighted({1, 0}), {0, 1}), (std::vector<int>{0, 0})) << "weight 0 takes nothing, not even then";
}

TEST(ChooseTarget, AKeyStaysWhereItWasUnlessItsShareMoves) {
  const Route before = weighted({90, 10});
  const Route after = weighted({80, 20});
  const std::array<std::uint8_t, 2> both{1, 1};
  const std::array<std::uint8_t, 2> second_only{0, 1};
  int moved = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Draw draw = sticky_draw(before, "session-" + std::to_string(i));
    const auto was = choose_target(before, both, draw);
    ASSERT_EQ(was, choose_target(before, both, sticky_draw(before, "session-" + std::to_string(i))));
    const auto is = choose_target(after, both, sticky_draw(after, "session-" + std::to_string(i)));
    if (was != is) {
      ++moved;
      EXPECT_EQ(was, 0U) << "only from the one that lost weight";
    }
    EXPECT_EQ(choose_target(before, second_only, draw), 1U);
  }
  EXPECT_NEAR(moved, 1'000, 150);
}

}  // namespace
}  // namespace llmd::modelroute
