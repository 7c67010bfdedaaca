#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "modelroute/route_config.h"

namespace llmd::modelroute {

/// What a request says of where it wants to go.
struct Query {
  std::string_view model;      // empty: none named
  std::string_view version;    // of the header; empty: none
  std::string_view sla_class;  // empty: none
  /// A header of the request by its name in lower case; may be empty if no route asks for one.
  std::function<std::optional<std::string_view>(std::string_view name)> header{};
};

/// The route of a request. Views of the table and of the query.
struct Found {
  const Route* route = nullptr;  // null: none matches
  std::string_view model{};      // what the client calls it, without a version that the route took off
};

/// Chance for one choice: the second is used if the target that the first chose cannot serve.
struct Draw {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};
/// The same for all requests of one key on a route, so that they stay together. Moving weight from one target to
/// another moves that share of keys and no others.
[[nodiscard]] Draw sticky_draw(const Route& route, std::string_view key) noexcept;

/// Routes in the order in which they are tried: exact models, then beginnings, the longer ones first, then all models;
/// of equal ones those with a version, then those with a class, then those with more headers; then as configured.
/// Immutable.
class RouteTable {
 public:
  /// Error kConfigInvalid: too many, a route without targets, weights that are mixed or add up to nothing. Of
  /// a route it begins with its name.
  [[nodiscard]] static Result<RouteTable> make(std::vector<Route> routes, std::vector<SlaClass> classes);

  /// A version that is asked for must be named by the route, so that nobody is given another one in silence. "name@v2"
  /// is tried as a name, and as version v2 of `name`. O(routes), no allocation.
  [[nodiscard]] Found find(const Query& query) const;

  [[nodiscard]] const std::vector<Route>& routes() const noexcept { return routes_; }
  /// Null if there is none of the name.
  [[nodiscard]] const SlaClass* sla_class(std::string_view name) const noexcept;
  [[nodiscard]] const std::vector<SlaClass>& sla_classes() const noexcept { return classes_; }
  /// What "default" and no name mean: the first exact model as configured without version, class and headers. Empty:
  /// there is none.
  [[nodiscard]] std::string_view default_model() const noexcept { return default_model_; }

 private:
  std::vector<Route> routes_;
  std::vector<SlaClass> classes_;
  std::string default_model_;
};

/// One of the targets that `may` take the request (one byte each; as many as targets), by weight. A share of one that
/// may not goes to the others by their weights; the others' own requests stay where they were. No value: none may.
[[nodiscard]] std::optional<std::size_t> choose_target(const Route& route, std::span<const std::uint8_t> may,
                                                       Draw draw) noexcept;

/// "a", "b@v2", "c*": for errors and lists, sorted, each once.
[[nodiscard]] std::vector<std::string> routed_names(const RouteTable& table);

}  // namespace llmd::modelroute
