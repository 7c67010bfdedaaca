#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <map>
#include <sstream>
#include <utility>

namespace llmd::config {
namespace {

/// Leaves the parser, which knows no other way to stop. Never leaves this file.
struct Refused {
  int line;
  int column;
  std::string what;
};

/// Builds the tree from the parser's events and stops at the first limit, so that hostile input costs no more than it
/// allows.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const YamlLimits& limits) : limits_{limits} {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    leaf(node_at(YamlNode::Kind::kNull, mark), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = node_at(YamlNode::Kind::kScalar, mark);
    node.quoted = tag == "!";  // how the parser marks quoted and block scalars
    node.text = value;
    if (!node.quoted && (value == "~" || value == "null")) node.kind = YamlNode::Kind::kNull;
    leaf(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{mark.line + 1, mark.column + 1, "an alias inside what it names"};
    count(mark, nodes_in(found->second));
    if (open_.size() + depth_of(found->second) > limits_.depth_max) refuse_depth(mark);
    YamlNode copy = found->second;
    copy.line = mark.line + 1;
    copy.column = mark.column + 1;
    add(std::move(copy));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*s*/) override {
    begin(YamlNode::Kind::kSequence, mark, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*s*/) override {
    begin(YamlNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { end(); }

  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
  };

  static YamlNode node_at(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }
  static std::size_t nodes_in(const YamlNode& node) {
    std::size_t count = 1 + node.keys.size();
    for (const YamlNode& item : node.items) count += nodes_in(item);
    return count;
  }
  static std::size_t depth_of(const YamlNode& node) {
    std::size_t below = 0;
    for (const YamlNode& item : node.items) below = std::max(below, depth_of(item));
    return below + 1;
  }
  void refuse_depth(const YAML::Mark& mark) const {
    throw Refused{mark.line + 1, mark.column + 1, fmt::format("nested deeper than {} levels", limits_.depth_max)};
  }
  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > limits_.nodes_max)
      throw Refused{mark.line + 1, mark.column + 1, fmt::format("more than {} values", limits_.nodes_max)};
  }
  void begin(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    count(mark, 1);
    if (open_.size() + 1 >= limits_.depth_max) refuse_depth(mark);
    open_.push_back({node_at(kind, mark), anchor});
  }
  void leaf(YamlNode node, YAML::anchor_t anchor) {
    if (++nodes_ > limits_.nodes_max)
      throw Refused{node.line, node.column, fmt::format("more than {} values", limits_.nodes_max)};
    if (anchor != 0) anchors_[anchor] = node;
    add(std::move(node));
  }
  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor != 0) {
      nodes_ += nodes_in(done.node);  // the copy kept for aliases counts too
      if (nodes_ > limits_.nodes_max)
        throw Refused{done.node.line, done.node.column, fmt::format("more than {} values", limits_.nodes_max)};
      anchors_[done.anchor] = done.node;
    }
    add(std::move(done.node));
  }
  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    YamlNode& parent = open_.back().node;
    if (parent.kind == YamlNode::Kind::kMap && parent.keys.size() == parent.items.size()) {
      if (node.kind != YamlNode::Kind::kScalar) throw Refused{node.line, node.column, "a key that is not a name"};
      parent.keys.push_back(std::move(node));
    } else {
      parent.items.push_back(std::move(node));
    }
  }

  const YamlLimits limits_;
  std::size_t nodes_ = 0;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  YamlNode root_;
};

std::unexpected<Error> refused(std::string_view source, int line, int column, std::string_view what) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}:{}:{}: {}", source, line, column, what));
}

}  // namespace

Result<YamlNode> parse_yaml(std::string_view text, std::string_view source, const YamlLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{} has more than {} bytes", source, limits.bytes_max));
  }
  try {
    std::istringstream stream{std::string{text}};
    YAML::Parser parser{stream};
    TreeBuilder builder{limits};
    if (!parser.HandleNextDocument(builder)) return YamlNode{.line = 1, .column = 1};
    TreeBuilder second{limits};
    if (parser.HandleNextDocument(second))
      return fail(ErrorCode::kConfigInvalid, fmt::format("{} holds more than one document", source));
    return builder.take_root();
  } catch (const Refused& error) {
    return refused(source, error.line, error.column, error.what);
  } catch (const YAML::Exception& error) {
    return refused(source, error.mark.line + 1, error.mark.column + 1, error.msg);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{} is not YAML: {}", source, error.what()));
  }
}

}  // namespace llmd::config
