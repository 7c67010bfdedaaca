#include "modelroute/route_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/hash.h"
#include "base/stable_sort.h"

namespace llmd::modelroute {
namespace {

bool is_prefix(const Match& match) noexcept { return match.model.ends_with('*'); }

/// Larger: tried earlier.
auto rank(const Route& route) noexcept {
  const Match& match = route.match;
  const int kind = match.model.empty() || match.model == "*" ? 0 : is_prefix(match) ? 1 : 2;
  const std::size_t length = kind == 1 ? match.model.size() : 0;
  return std::tuple{kind, length, !match.version.empty(), !match.sla_class.empty(), match.headers.size()};
}

bool names_model(const Match& match, std::string_view model) noexcept {
  if (match.model.empty()) return true;
  if (!is_prefix(match)) return match.model == model;
  return model.starts_with(std::string_view{match.model}.substr(0, match.model.size() - 1));
}

bool headers_hold(const Match& match, const Query& query) {
  return std::ranges::all_of(match.headers, [&query](const Match::Header& wanted) {
    return query.header && query.header(wanted.name) == std::string_view{wanted.value};
  });
}

std::uint64_t weight_of(const Target& target) noexcept { return target.weight.value_or(1); }

/// Scales chance to [0, total): monotonic, so that a key's place moves with the weights and not with their sum.
std::uint64_t scaled(std::uint64_t chance, std::uint64_t total) noexcept {
  return ((chance >> 32U) * total) >> 32U;  // total < 2^24
}

/// The target at this share of all that `counts`. Pre: some weigh more than nothing.
template <class Counts>
std::size_t at_share(const Route& route, std::uint64_t chance, Counts counts) noexcept {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < route.targets.size(); ++i) total += counts(i) ? weight_of(route.targets[i]) : 0;
  std::uint64_t left = scaled(chance, total);
  std::size_t last = 0;
  for (std::size_t i = 0; i < route.targets.size(); ++i) {
    const std::uint64_t weight = counts(i) ? weight_of(route.targets[i]) : 0;
    if (weight == 0) continue;
    last = i;
    if (left < weight) return i;
    left -= weight;
  }
  return last;
}

Result<void> check(const Route& route) {
  const auto invalid = [&route](std::string what, std::string hint = {}) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("route \"{}\": {}", route.name.substr(0, 64), what),
                std::move(hint));
  };
  if (route.targets.empty()) return invalid("there are no targets");
  if (route.targets.size() > kTargetsMax)
    return invalid(fmt::format("there are {} targets; {} fit", route.targets.size(), kTargetsMax));
  if (route.match.headers.size() > kHeadersMax)
    return invalid(fmt::format("there are {} headers; {} fit", route.match.headers.size(), kHeadersMax));
  const auto weighted = std::ranges::count_if(route.targets, [](const auto& each) { return each.weight.has_value(); });
  if (weighted != 0 && weighted != std::ssize(route.targets))
    return invalid("some targets have a weight and some have none", "give each one, or none: then all are equal");
  if (std::ranges::all_of(route.targets, [](const auto& each) { return weight_of(each) == 0; }))
    return invalid("all targets have weight 0", "give one of them more");
  return {};
}

}  // namespace

Draw sticky_draw(const Route& route, std::string_view key) noexcept {
  const std::uint64_t seed = xxh64(route.name);
  return {.first = xxh64(key, seed), .second = xxh64(key, seed + 1)};
}

Result<RouteTable> RouteTable::make(std::vector<Route> routes, std::vector<SlaClass> classes) {
  if (routes.size() > kRoutesMax)
    return fail(ErrorCode::kConfigInvalid, fmt::format("there are {} routes; {} fit", routes.size(), kRoutesMax));
  if (classes.size() > kSlaClassesMax)
    return fail(ErrorCode::kConfigInvalid, fmt::format("there are {} classes; {} fit", classes.size(), kSlaClassesMax));
  RouteTable table;
  for (const Route& route : routes) {
    LLMD_TRY_VOID(check(route));
    const Match& match = route.match;
    const bool plain = match.version.empty() && match.sla_class.empty() && match.headers.empty();
    if (table.default_model_.empty() && plain && !match.model.empty() && !is_prefix(match))
      table.default_model_ = match.model;
  }
  table.routes_ = std::move(routes);
  stable_sort(table.routes_, [](const Route& a, const Route& b) { return rank(a) > rank(b); });
  table.classes_ = std::move(classes);
  return table;
}

Found RouteTable::find(const Query& query) const {
  std::string_view base;
  std::string_view suffix;
  const std::size_t at = query.model.rfind('@');
  if (query.version.empty() && at != std::string_view::npos && at > 0 && at + 1 < query.model.size()) {
    base = query.model.substr(0, at);
    suffix = query.model.substr(at + 1);
  }
  for (const Route& route : routes_) {
    const Match& match = route.match;
    if (!match.sla_class.empty() && match.sla_class != query.sla_class) continue;
    const bool whole = match.version == query.version && names_model(match, query.model);
    const bool split = !suffix.empty() && match.version == suffix && names_model(match, base);
    if ((whole || split) && headers_hold(match, query)) return {.route = &route, .model = split ? base : query.model};
  }
  return {};
}

const SlaClass* RouteTable::sla_class(std::string_view name) const noexcept {
  const auto found = std::ranges::find(classes_, name, &SlaClass::name);
  return found == classes_.end() ? nullptr : &*found;
}

std::optional<std::size_t> choose_target(const Route& route, std::span<const std::uint8_t> may, Draw draw) noexcept {
  const std::size_t first = at_share(route, draw.first, [](std::size_t) { return true; });
  if (may[first] != 0) return first;
  for (std::size_t i = 0; i < route.targets.size(); ++i) {
    if (may[i] != 0 && weight_of(route.targets[i]) > 0)
      return at_share(route, draw.second, [may](std::size_t each) { return may[each] != 0; });
  }
  return std::nullopt;
}

std::vector<std::string> routed_names(const RouteTable& table) {
  std::set<std::string> names;
  for (const Route& route : table.routes()) {
    const Match& match = route.match;
    const std::string model = match.model.empty() ? "*" : match.model;
    names.insert(match.version.empty() ? model : fmt::format("{}@{}", model, match.version));
  }
  return {names.begin(), names.end()};
}

}  // namespace llmd::modelroute
