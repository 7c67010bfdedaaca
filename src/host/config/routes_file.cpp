#include "config/routes_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <limits>
#include <utility>

#include "config/entry_name.h"
#include "config/object_decoder.h"
#include "config/yaml_tree.h"
#include "scheduling/nearest_name.h"

namespace llmd::config {
namespace {

constexpr std::size_t kModelBytesMax = 256;
constexpr double kSloMsMax = 86'400'000;

/// One file on its way to a RoutesFile.
class Decoder {
 public:
  explicit Decoder(std::string_view source) : source_{source}, decode_{source} {}

  Result<RoutesFile> file(const YamlNode& root);

 private:
  Result<void> pool(const YamlNode& node);
  Result<void> endpoints(const YamlNode& node, PoolEntry& pool);
  Result<PoolEndpoint> endpoint(const YamlNode& node);
  Result<void> tls(const YamlNode& node, PoolTls& tls);
  Result<void> sla_class(const YamlNode& node);
  Result<void> route(const YamlNode& node);
  Result<void> match(const YamlNode& node, modelroute::Match& match);
  Result<void> target(const YamlNode& node, modelroute::Route& route);

  Result<void> name(const YamlNode& node, std::string_view what, std::string& into) const;
  Result<void> short_text(const YamlNode& node, std::string_view what, std::string& into) const;
  Result<void> path(const YamlNode& node, std::string_view what, std::string& into) const;
  Result<void> text_map(const YamlNode& node, std::string_view what,
                        const std::function<Result<void>(std::string name, std::string value)>& take) const;
  Result<std::size_t> pool_of(const YamlNode& node) const;
  Result<void> known_class(const YamlNode& node, const std::string& name) const;

  std::string_view source_;
  ObjectDecoder decode_;
  std::vector<PoolEntry> pools_;
  std::vector<modelroute::SlaClass> classes_;
  std::vector<modelroute::Route> routes_;
};

template <class Item>
bool has_name(const std::vector<Item>& items, std::string_view name) {
  return std::ranges::find(items, name, &Item::name) != items.end();
}

template <class Item>
std::vector<std::string_view> names_of(const std::vector<Item>& items) {
  std::vector<std::string_view> names;
  for (const Item& item : items) names.emplace_back(item.name);
  return names;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
}

Result<void> Decoder::name(const YamlNode& node, std::string_view what, std::string& into) const {
  LLMD_TRY(into, entry_name(decode_, node, what));
  return {};
}

Result<void> Decoder::short_text(const YamlNode& node, std::string_view what, std::string& into) const {
  LLMD_TRY(into, decode_.text(node, what));
  if (into.size() <= kModelBytesMax && is_printable(into)) return {};
  return decode_.fail_at(node, fmt::format("{} is longer than {} bytes or not printable", what, kModelBytesMax));
}

Result<void> Decoder::path(const YamlNode& node, std::string_view what, std::string& into) const {
  LLMD_TRY(const std::string text, decode_.text(node, what));
  if (text.empty() || text.size() > 4'096 || text.find('\0') != std::string::npos)
    return decode_.fail_at(node, fmt::format("{} is not a path", what));
  into = (std::filesystem::path{source_}.parent_path() / text).lexically_normal().string();
  return {};
}

Result<void> Decoder::text_map(const YamlNode& node, std::string_view what,
                               const std::function<Result<void>(std::string, std::string)>& take) const {
  if (node.kind == YamlNode::Kind::kNull) return {};
  if (node.kind != YamlNode::Kind::kMap) return decode_.fail_at(node, fmt::format("{} is not a map", what));
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    std::string value;
    LLMD_TRY_VOID(short_text(node.items[i], what, value));
    std::string key;
    LLMD_TRY_VOID(short_text(node.keys[i], what, key));
    if (auto taken = take(std::move(key), std::move(value)); !taken)
      return decode_.fail_at(node.keys[i], taken.error().what, taken.error().hint);
  }
  return {};
}

Result<PoolEndpoint> Decoder::endpoint(const YamlNode& node) {
  PoolEndpoint made;
  made.line = node.line;
  if (node.kind == YamlNode::Kind::kMap) {
    const FieldDecoder fields[] = {
        {"name", [&](const YamlNode& value) { return short_text(value, "name", made.name); }},
        {"url", [&](const YamlNode& value) { return short_text(value, "url", made.url); }},
        {"engine", [&](const YamlNode& value) { return name(value, "engine", made.engine); }},
        {"labels", [&](const YamlNode& value) {
           return text_map(value, "labels", [&](std::string key, std::string text) -> Result<void> {
             made.labels[std::move(key)] = std::move(text);
             return {};
           });
         }}};
    LLMD_TRY_VOID(decode_.object(node, "an endpoint", fields));
  } else {
    LLMD_TRY_VOID(short_text(node, "an endpoint", made.url));
  }
  if (made.url.empty()) return decode_.fail_at(node, "an endpoint has no url", "write http://HOST:PORT");
  return made;
}

Result<void> Decoder::endpoints(const YamlNode& node, PoolEntry& pool) {
  if (node.kind == YamlNode::Kind::kScalar) return path(node, "endpoints", pool.endpoint_file);
  return decode_.sequence(node, "endpoints", [&](const YamlNode& item) -> Result<void> {
    if (pool.endpoints.size() >= kPoolEndpointsMax)
      return decode_.fail_at(item, fmt::format("more than {} endpoints", kPoolEndpointsMax));
    LLMD_TRY(PoolEndpoint made, endpoint(item));
    pool.endpoints.push_back(std::move(made));
    return {};
  });
}

Result<void> Decoder::tls(const YamlNode& node, PoolTls& tls) {
  const FieldDecoder fields[] = {
      {"caFile", [&](const YamlNode& value) { return path(value, "caFile", tls.ca_file); }},
      {"serverName", [&](const YamlNode& value) { return name(value, "serverName", tls.server_name); }},
      {"insecureSkipVerify", [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(tls.insecure_skip_verify, decode_.flag(value, "insecureSkipVerify"));
         return {};
       }}};
  return decode_.object(node, "tls", fields);
}

Result<void> Decoder::pool(const YamlNode& node) {
  if (pools_.size() >= kPoolsMax) return decode_.fail_at(node, fmt::format("more than {} pools", kPoolsMax));
  PoolEntry made;
  made.line = node.line;
  std::string engine;
  const FieldDecoder fields[] = {
      {"name", [&](const YamlNode& value) { return name(value, "name", made.name); }},
      {"endpoints", [&](const YamlNode& value) { return endpoints(value, made); }},
      {"engine", [&](const YamlNode& value) { return name(value, "engine", engine); }},
      {"config", [&](const YamlNode& value) { return path(value, "config", made.config_file); }},
      {"tls", [&](const YamlNode& value) { return tls(value, made.tls.emplace()); }}};
  LLMD_TRY_VOID(decode_.object(node, "a pool", fields));
  if (made.name.empty()) return decode_.fail_at(node, "a pool has no name");
  if (has_name(pools_, made.name)) return decode_.fail_at(node, fmt::format("there are two pools \"{}\"", made.name));
  if (made.endpoints.empty() && made.endpoint_file.empty() && made.config_file.empty()) {
    return decode_.fail_at(node, fmt::format("pool \"{}\" has no endpoints", made.name),
                           "list URLs, or name a file of endpoints");
  }
  if (!engine.empty() && !made.endpoint_file.empty())
    return decode_.fail_at(node, "engine is for endpoints that are listed here", "label them in their file");
  for (PoolEndpoint& each : made.endpoints) {
    if (each.engine.empty()) each.engine = engine;
  }
  pools_.push_back(std::move(made));
  return {};
}

Result<void> Decoder::sla_class(const YamlNode& node) {
  modelroute::SlaClass made;
  const auto objective = [&](const YamlNode& value, std::string_view what, std::optional<float>& into) -> Result<void> {
    LLMD_TRY(const double ms, decode_.number(value, what));
    if (!(ms > 0 && ms <= kSloMsMax))
      return decode_.fail_at(value, fmt::format("{} is {}; expected more than 0 and at most {}", what, ms, kSloMsMax));
    into = static_cast<float>(ms);
    return {};
  };
  const FieldDecoder fields[] = {
      {"name", [&](const YamlNode& value) { return name(value, "name", made.name); }},
      {"priority",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(const std::int64_t priority, decode_.integer(value, "priority"));
         using Limits = std::numeric_limits<std::int32_t>;
         if (priority < Limits::min() || priority > Limits::max())
           return decode_.fail_at(value, fmt::format("priority is {}; expected 32 bits", priority));
         made.priority = static_cast<std::int32_t>(priority);
         return {};
       }},
      {"ttftMs", [&](const YamlNode& value) { return objective(value, "ttftMs", made.slo_ttft_ms); }},
      {"tpotMs", [&](const YamlNode& value) { return objective(value, "tpotMs", made.slo_tpot_ms); }}};
  LLMD_TRY_VOID(decode_.object(node, "a class", fields));
  if (made.name.empty()) return decode_.fail_at(node, "a class has no name");
  if (has_name(classes_, made.name))
    return decode_.fail_at(node, fmt::format("there are two classes \"{}\"", made.name));
  classes_.push_back(std::move(made));
  return {};
}

Result<void> Decoder::known_class(const YamlNode& node, const std::string& name) const {
  if (has_name(classes_, name)) return {};
  return decode_.fail_at(node, fmt::format("there is no class \"{}\" among slaClasses", name.substr(0, 64)),
                         scheduling::nearest_name_hint(name, names_of(classes_)));
}

Result<std::size_t> Decoder::pool_of(const YamlNode& node) const {
  LLMD_TRY(const std::string wanted, decode_.text(node, "pool"));
  const auto found = std::ranges::find(pools_, wanted, &PoolEntry::name);
  if (found != pools_.end()) return static_cast<std::size_t>(found - pools_.begin());
  return decode_.fail_at(node, fmt::format("there is no pool \"{}\"", wanted.substr(0, 64)),
                         scheduling::nearest_name_hint(wanted, names_of(pools_)));
}

Result<void> Decoder::match(const YamlNode& node, modelroute::Match& match) {
  const auto model = [&](const YamlNode& value) -> Result<void> {
    LLMD_TRY_VOID(short_text(value, "model", match.model));
    const std::size_t star = match.model.find('*');
    if (star == std::string::npos || star + 1 == match.model.size()) return {};
    return decode_.fail_at(value, "'*' stands elsewhere than at the end of the model");
  };
  const FieldDecoder fields[] = {
      {"model", model},
      {"version", [&](const YamlNode& value) { return short_text(value, "version", match.version); }},
      {"slaClass",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(match.sla_class, decode_.text(value, "slaClass"));
         return known_class(value, match.sla_class);
       }},
      {"headers", [&](const YamlNode& value) {
         return text_map(value, "headers", [&](std::string key, std::string text) -> Result<void> {
           std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
           match.headers.push_back({.name = std::move(key), .value = std::move(text)});
           return {};
         });
       }}};
  return decode_.object(node, "match", fields);
}

Result<void> Decoder::target(const YamlNode& node, modelroute::Route& route) {
  modelroute::Target made;
  bool has_pool = false;
  const FieldDecoder fields[] = {
      {"pool",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(made.pool, pool_of(value));
         has_pool = true;
         return {};
       }},
      {"model", [&](const YamlNode& value) { return short_text(value, "model", made.model); }},
      {"weight", [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(const std::int64_t weight, decode_.integer(value, "weight"));
         if (weight < 0 || weight > modelroute::kWeightMax) {
           return decode_.fail_at(value, fmt::format("weight is {}; expected 0 to {}", weight, modelroute::kWeightMax));
         }
         made.weight = static_cast<std::uint32_t>(weight);
         return {};
       }}};
  LLMD_TRY_VOID(decode_.object(node, "a target", fields));
  if (!has_pool) return decode_.fail_at(node, "a target has no pool");
  route.targets.push_back(std::move(made));
  return {};
}

Result<void> Decoder::route(const YamlNode& node) {
  if (routes_.size() >= modelroute::kRoutesMax)
    return decode_.fail_at(node, fmt::format("more than {} routes", modelroute::kRoutesMax));
  modelroute::Route made;
  const auto sticky = [&](const YamlNode& value) -> Result<void> {
    LLMD_TRY(const std::string by, decode_.text(value, "sticky"));
    if (by != "session" && by != "user")
      return decode_.fail_at(value, fmt::format("sticky is \"{}\"; expected session or user", by.substr(0, 64)));
    made.sticky = by == "user" ? modelroute::Sticky::kUser : modelroute::Sticky::kSession;
    return {};
  };
  const FieldDecoder fields[] = {{"name", [&](const YamlNode& value) { return name(value, "name", made.name); }},
                                 {"match", [&](const YamlNode& value) { return match(value, made.match); }},
                                 {"sticky", sticky},
                                 {"targets", [&](const YamlNode& value) {
                                    return decode_.sequence(value, "targets",
                                                            [&](const YamlNode& item) { return target(item, made); });
                                  }}};
  LLMD_TRY_VOID(decode_.object(node, "a route", fields));
  if (made.name.empty()) made.name = fmt::format("route-{}", routes_.size());
  if (has_name(routes_, made.name)) return decode_.fail_at(node, fmt::format("there are two routes \"{}\"", made.name));
  // By itself, so that the error has its line.
  if (const auto checked = modelroute::RouteTable::make({made}, {}); !checked)
    return decode_.fail_at(node, checked.error().what, checked.error().hint);
  routes_.push_back(std::move(made));
  return {};
}

Result<RoutesFile> Decoder::file(const YamlNode& root) {
  // Routes name pools and classes, wherever these stand.
  const YamlNode* routes = nullptr;
  const YamlNode* default_class = nullptr;
  const FieldDecoder fields[] = {
      {"pools",
       [&](const YamlNode& value) {
         return decode_.sequence(value, "pools", [&](const YamlNode& item) { return pool(item); });
       }},
      {"slaClasses",
       [&](const YamlNode& value) {
         return decode_.sequence(value, "slaClasses", [&](const YamlNode& item) { return sla_class(item); });
       }},
      {"defaultSlaClass",
       [&](const YamlNode& value) -> Result<void> {
         default_class = &value;
         return {};
       }},
      {"routes", [&](const YamlNode& value) -> Result<void> {
         routes = &value;
         return {};
       }}};
  LLMD_TRY_VOID(decode_.object(root, "a file of routes", fields));
  if (pools_.empty()) return decode_.fail_at(root, "there are no pools", "pools: [{name: a, endpoints: [URL]}]");
  RoutesFile made;
  if (default_class != nullptr) {
    LLMD_TRY(made.default_sla_class, decode_.text(*default_class, "defaultSlaClass"));
    LLMD_TRY_VOID(known_class(*default_class, made.default_sla_class));
  }
  if (routes != nullptr)
    LLMD_TRY_VOID(decode_.sequence(*routes, "routes", [&](const YamlNode& item) { return route(item); }));
  if (routes_.empty()) {
    if (pools_.size() > 1)
      return decode_.fail_at(root, fmt::format("there are {} pools and no routes", pools_.size()), "add routes");
    routes_.push_back({.name = "all", .match = {}, .targets = {{.pool = 0, .model = {}}}});
  }
  auto table = modelroute::RouteTable::make(std::move(routes_), std::move(classes_));
  if (!table) return decode_.fail_at(root, table.error().what, table.error().hint);
  made.table = *std::move(table);
  made.pools = std::move(pools_);
  return made;
}

}  // namespace

Result<RoutesFile> parse_routes_file(std::string_view text, std::string_view source) {
  LLMD_TRY(const YamlNode root, parse_yaml(text, source));
  return Decoder{source}.file(root);
}

}  // namespace llmd::config
