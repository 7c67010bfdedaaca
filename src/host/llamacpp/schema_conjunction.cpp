#include "llamacpp/schema_conjunction.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "llamacpp/schema_refusal.h"
#include "llamacpp/schema_types.h"

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kLargest{"minimum", "exclusiveMinimum", "minLength", "minItems"};
constexpr std::array<std::string_view, 4> kSmallest{"maximum", "exclusiveMaximum", "maxLength", "maxItems"};

bool is_one_of(const std::string& key, std::span<const std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// An allOf of the two, flat and without repetition, so that combining what refers to itself meets itself again.
Json both(const Json& a, const Json& b) {
  Json parts = Json::array();
  const auto add = [&](const Json& part) {
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  };
  for (const Json* schema : {&a, &b}) {
    const bool is_list = schema->is_object() && schema->size() == 1 && schema->contains("allOf");
    if (is_list && schema->at("allOf").is_array()) {
      for (const Json& part : schema->at("allOf")) add(part);
    } else {
      add(*schema);
    }
  }
  return parts.size() == 1 ? Json(parts.front()) : Json{{"allOf", std::move(parts)}};
}

/// The items of one schema stand for each place of the other's tuple.
void spread_items(Json& tuple, const Json& other) {
  const auto places = tuple.find("prefixItems");
  const auto items = other.find("items");
  if (places == tuple.end() || !places->is_array() || other.contains("prefixItems")) return;
  if (items == other.end() || !items->is_object()) return;
  for (Json& place : *places) place = both(place, *items);
}

/// The format as the grammar knows it; empty: it knows none, and anything passes.
std::string_view kept_format(const Json& format) {
  constexpr std::array<std::string_view, 4> kKept{"date-time", "date", "time", "uuid"};
  if (!format.is_string()) return {};
  const auto& text = format.get_ref<const std::string&>();
  if (text.size() == 5 && text.starts_with("uuid") && text[4] >= '1' && text[4] <= '5') return "uuid";
  const auto known = std::find(kKept.begin(), kKept.end(), text);
  return known == kKept.end() ? std::string_view{} : *known;
}

/// Adds what one schema says to another.
class Merge {
 public:
  explicit Merge(Json into) : out_(std::move(into)) {}

  Result<std::optional<Json>> with(Json other) {
    for (const Json* schema : {&std::as_const(out_), &std::as_const(other)}) {
      if (schema->contains("enum") && !schema->at("enum").is_array())
        return refuse_schema("enum must be a non-empty array");
    }
    spread_items(out_, other);
    spread_items(other, out_);
    LLMD_TRY(const SchemaTypes mine, schema_types(out_));
    LLMD_TRY(const SchemaTypes theirs, schema_types(other));
    const SchemaTypes types = mine.common(theirs);
    if (types.empty()) return std::nullopt;
    if (types != SchemaTypes::all()) out_["type"] = types.to_json();
    if (!values(other)) return std::nullopt;
    for (const auto& [key, value] : other.items()) {
      const auto here = out_.find(key);
      if (key == "type" || key == "const" || key == "enum" || (here != out_.end() && *here == value)) continue;
      if (here == out_.end()) {
        out_[key] = value;
        continue;
      }
      LLMD_TRY(const bool possible, keyword(key, *here, value));
      if (!possible) return std::nullopt;
    }
    return std::move(out_);
  }

 private:
  /// The values that both list. False: there is none.
  bool values(const Json& other) {
    const auto theirs = values_of(other);
    if (!theirs) return true;
    const auto mine = values_of(out_);
    std::set<std::string> listed;
    for (const Json& value : mine.value_or(Json::array())) listed.insert(value.dump());
    Json kept = Json::array();
    for (const Json& value : *theirs) {
      if (!mine || listed.contains(value.dump())) kept.push_back(value);
    }
    out_.erase("const");
    out_["enum"] = std::move(kept);
    return !out_["enum"].empty();
  }

  static std::optional<Json> values_of(const Json& schema) {
    const auto value = schema.find("const");
    const auto list = schema.find("enum");
    if (value == schema.end()) return list == schema.end() ? std::nullopt : std::optional{*list};
    const bool listed = list == schema.end() || std::find(list->begin(), list->end(), *value) != list->end();
    return listed ? Json::array({*value}) : Json::array();
  }

  /// What both schemas have, and differ in. False: nothing fits both.
  static Result<bool> keyword(const std::string& key, Json& mine, const Json& theirs) {
    if (is_one_of(key, kLargest) || is_one_of(key, kSmallest)) {
      if (!theirs.is_number() || !mine.is_number()) return true;
      const bool above = theirs.get<long double>() > mine.get<long double>();
      if (above == is_one_of(key, kLargest)) mine = theirs;
    } else if (key == "properties") {
      merge_members(mine, theirs);
    } else if (key == "required") {
      merge_names(mine, theirs);
    } else if (key == "additionalProperties") {
      merge_additional(mine, theirs);
    } else if (key == "items" || key == "prefixItems") {
      return merge_items(mine, theirs);
    } else if (key == "pattern") {
      return fail(ErrorCode::kInvalidGrammar, "two patterns for one string cannot be combined",
                  "write one pattern that says both");
    } else if (key == "format") {
      const std::string_view one = kept_format(mine);
      const std::string_view other = kept_format(theirs);
      if (one.empty()) mine = theirs;
      return one.empty() || other.empty() || one == other;
    }
    return true;  // of all others the first schema's stays: no grammar can keep them
  }

  static void merge_members(Json& mine, const Json& theirs) {
    if (!mine.is_object() || !theirs.is_object()) return;
    for (const auto& [name, schema] : theirs.items()) {
      const auto here = mine.find(name);
      if (here == mine.end()) {
        mine[name] = schema;
      } else {
        *here = both(*here, schema);
      }
    }
  }

  static void merge_names(Json& mine, const Json& theirs) {
    if (!mine.is_array() || !theirs.is_array()) return;
    std::set<std::string> known;
    for (const Json& name : mine) known.insert(name.dump());
    for (const Json& name : theirs) {
      if (known.insert(name.dump()).second) mine.push_back(name);
    }
  }

  static void merge_additional(Json& mine, const Json& theirs) {
    if (theirs == true || mine == false) return;
    mine = mine == true || theirs == false ? theirs : both(mine, theirs);
  }

  static Result<bool> merge_items(Json& mine, const Json& theirs) {
    if (mine.is_array() && theirs.is_array()) {
      if (mine.size() != theirs.size()) return false;
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = both(mine[i], theirs[i]);
      return true;
    }
    if (!mine.is_array() && !theirs.is_array()) {
      mine = both(mine, theirs);
      return true;
    }
    const Json one = mine.is_array() ? theirs : mine;
    if (theirs.is_array()) mine = theirs;
    for (Json& item : mine) item = both(item, one);
    return true;
  }

  Json out_;
};

}  // namespace

Result<std::optional<Json>> conjunction_of(const Json& a, const Json& b) { return Merge{a}.with(b); }

}  // namespace llmd::llamacpp
