#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace llmd::config {
namespace {

std::string error_of(std::string_view text, const YamlLimits& limits = {}) {
  const Result<YamlNode> node = parse_yaml(text, "f.yaml", limits);
  if (node) return "none";
  EXPECT_EQ(node.error().code, ErrorCode::kConfigInvalid);
  return node.error().what;
}

TEST(ParseYaml, KeepsPlacesAndTellsQuotedFromPlain) {
  const Result<YamlNode> root = parse_yaml("a: 1\nb:\n  - \"2\"\n  - {c: null}\n", "f.yaml");
  ASSERT_TRUE(root.has_value()) << root.error().to_string();
  ASSERT_EQ(root->kind, YamlNode::Kind::kMap);
  ASSERT_EQ(root->items.size(), 2U);
  EXPECT_EQ(root->keys[1].text, "b");
  EXPECT_EQ(root->keys[1].line, 2);
  EXPECT_FALSE(root->items[0].quoted);
  const YamlNode& list = root->items[1];
  ASSERT_EQ(list.kind, YamlNode::Kind::kSequence);
  EXPECT_TRUE(list.items[0].quoted);
  EXPECT_EQ(list.items[1].line, 4);
  EXPECT_EQ(list.items[1].column, 5);
  EXPECT_EQ(list.items[1].items[0].kind, YamlNode::Kind::kNull);
}

TEST(ParseYaml, ReadsJson) {
  const Result<YamlNode> root = parse_yaml("{\"a\": [1, 2],\n\t\"b\": \"x\"}", "f.json");
  ASSERT_TRUE(root.has_value()) << root.error().to_string();
  EXPECT_EQ(root->items[0].items.size(), 2U);
}

TEST(ParseYaml, TakesAnEmptyTextForNull) {
  for (const std::string_view text : {"", "# nothing\n"}) {
    const Result<YamlNode> root = parse_yaml(text, "f.yaml");
    ASSERT_TRUE(root.has_value());
    EXPECT_EQ(root->kind, YamlNode::Kind::kNull);
  }
}

TEST(ParseYaml, CopiesAliasesToTheirPlace) {
  const Result<YamlNode> root = parse_yaml("a: &x [1, 2]\nb: *x\n", "f.yaml");
  ASSERT_TRUE(root.has_value()) << root.error().to_string();
  EXPECT_EQ(root->items[1].items.size(), 2U);
  EXPECT_EQ(root->items[1].line, 2);
}

TEST(ParseYaml, StopsAliasBombsAtTheLimit) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    bomb += fmt::format("a{}: &a{} [*a{}", i, i, i - 1);
    for (int k = 0; k < 9; ++k) bomb += fmt::format(", *a{}", i - 1);
    bomb += "]\n";
  }
  EXPECT_EQ(error_of(bomb), "f.yaml:4:5: more than 20000 values");
}

TEST(ParseYaml, StopsAtEachOfItsLimits) {
  EXPECT_EQ(error_of(std::string(40, '[') + std::string(40, ']')), "f.yaml:1:32: nested deeper than 32 levels");
  EXPECT_NE(error_of(std::string(500'000, '[')), "none");
  EXPECT_EQ(error_of("a: &x [[1]]\nb: [[*x]]", {.depth_max = 5}), "f.yaml:2:6: nested deeper than 5 levels");
  EXPECT_EQ(error_of("[1, 2, 3]", {.nodes_max = 3}), "f.yaml:1:8: more than 3 values");
  EXPECT_EQ(error_of("aaaa", {.bytes_max = 3}), "f.yaml has more than 3 bytes");
}

TEST(ParseYaml, RefusesWhatIsNoSingleDocumentWithNamedFields) {
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n"), "f.yaml holds more than one document");
  EXPECT_EQ(error_of("? [1]\n: 2\n"), "f.yaml:1:3: a key that is not a name");
  EXPECT_EQ(error_of("a: *x\n"), "f.yaml:1:4: the referenced anchor is not defined");
  EXPECT_EQ(error_of("a: &x [*x]\n"), "f.yaml:1:8: an alias inside what it names");
  EXPECT_EQ(error_of("a: {b: 1\n"), "f.yaml:2:1: end of map flow not found");
}

}  // namespace
}  // namespace llmd::config
