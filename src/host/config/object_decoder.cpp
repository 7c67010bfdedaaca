#include "config/object_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <vector>

#include "scheduling/nearest_name.h"

namespace llmd::config {
namespace {

constexpr std::size_t kShownMax = 64;  // of a value in an error

std::string shown(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull: return "null";
    case YamlNode::Kind::kSequence: return "a list";
    case YamlNode::Kind::kMap: return "an object";
    case YamlNode::Kind::kScalar: break;
  }
  return fmt::format("\"{}\"", node.text.substr(0, kShownMax));
}

template <class Number>
bool parse_whole(const YamlNode& node, Number& value) {
  if (node.kind != YamlNode::Kind::kScalar || node.quoted) return false;
  const char* const end = node.text.data() + node.text.size();
  const auto [rest, status] = std::from_chars(node.text.data(), end, value);
  return status == std::errc{} && rest == end;
}

}  // namespace

Result<void> ObjectDecoder::object(const YamlNode& node, std::string_view what,
                                   std::span<const FieldDecoder> fields) const {
  if (node.kind == YamlNode::Kind::kNull) return {};
  if (node.kind != YamlNode::Kind::kMap) return wrong_type(node, what, "an object");
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const YamlNode& key = node.keys[i];
    if (!seen.insert(key.text).second)
      return fail_at(key, fmt::format("{} has the field \"{}\" twice", what, key.text.substr(0, kShownMax)));
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const FieldDecoder& each) { return each.name == key.text; });
    if (field == fields.end()) {
      std::vector<std::string_view> names;
      for (const FieldDecoder& each : fields) names.push_back(each.name);
      return fail_at(key, fmt::format("{} has no field \"{}\"", what, key.text.substr(0, kShownMax)),
                     scheduling::nearest_name_hint(key.text, names));
    }
    LLMD_TRY_VOID(field->decode(node.items[i]));
  }
  return {};
}

Result<void> ObjectDecoder::sequence(const YamlNode& node, std::string_view what,
                                     const std::function<Result<void>(const YamlNode& item)>& decode) const {
  if (node.kind == YamlNode::Kind::kNull) return {};
  if (node.kind != YamlNode::Kind::kSequence) return wrong_type(node, what, "a list");
  for (const YamlNode& item : node.items) LLMD_TRY_VOID(decode(item));
  return {};
}

Result<std::string> ObjectDecoder::text(const YamlNode& node, std::string_view what) const {
  if (node.kind == YamlNode::Kind::kNull) return std::string{};
  if (node.kind != YamlNode::Kind::kScalar) return wrong_type(node, what, "a text");
  return node.text;
}

Result<double> ObjectDecoder::number(const YamlNode& node, std::string_view what) const {
  double value = 0;
  if (!parse_whole(node, value) || !std::isfinite(value)) return wrong_type(node, what, "a number");
  return value;
}

Result<std::int64_t> ObjectDecoder::integer(const YamlNode& node, std::string_view what) const {
  std::int64_t value = 0;
  if (!parse_whole(node, value)) return wrong_type(node, what, "a whole number");
  return value;
}

Result<bool> ObjectDecoder::flag(const YamlNode& node, std::string_view what) const {
  if (node.kind == YamlNode::Kind::kScalar && !node.quoted) {
    if (node.text == "true") return true;
    if (node.text == "false") return false;
  }
  return wrong_type(node, what, "true or false");
}

std::unexpected<Error> ObjectDecoder::fail_at(const YamlNode& node, std::string_view what, std::string hint) const {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}:{}:{}: {}", source_, node.line, node.column, what),
              std::move(hint));
}

std::unexpected<Error> ObjectDecoder::wrong_type(const YamlNode& node, std::string_view what,
                                                 std::string_view expected) const {
  return fail_at(node, fmt::format("{} is {}; expected {}", what, shown(node), expected));
}

}  // namespace llmd::config
