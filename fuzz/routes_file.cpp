// links: llmd_config llmd_modelroute llmd_pool
// Files of routes and of models, over any bytes: no crash; what is taken can be routed by, and each error names the
// file.
#include "config/routes_file.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "config/models_file.h"
#include "pool/endpoint_list.h"

namespace {

void check_error(const llmd::Error& error) {
  if (error.code != llmd::ErrorCode::kConfigInvalid || !error.what.starts_with("fuzz.yaml")) std::abort();
}

void check_route(const llmd::config::RoutesFile& file, const llmd::modelroute::Route& route) {
  const std::vector<std::uint8_t> all(route.targets.size(), 1);
  const auto target = llmd::modelroute::choose_target(route, all, llmd::modelroute::sticky_draw(route, "a"));
  if (!target || route.targets[*target].pool >= file.pools.size()) std::abort();
  const auto header = [](std::string_view) -> std::optional<std::string_view> { return "v"; };
  // Its own words find a route, maybe another one that is more specific.
  std::string_view model = route.match.model;
  if (model.ends_with('*')) model.remove_suffix(1);
  if (!route.match.headers.empty()) return;
  const llmd::modelroute::Query query{
      .model = model, .version = route.match.version, .sla_class = route.match.sla_class, .header = header};
  if (file.table.find(query).route == nullptr) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto file = llmd::config::parse_routes_file(text, "fuzz.yaml")) {
    if (file->pools.empty() || file->table.routes().empty()) std::abort();
    for (const llmd::modelroute::Route& route : file->table.routes()) check_route(*file, route);
    for (const llmd::config::PoolEntry& pool : file->pools) {
      if (const auto endpoints = llmd::pool::make_endpoints(pool, "engine", "fuzz.yaml"); !endpoints)
        check_error(endpoints.error());
    }
  } else {
    check_error(file.error());
  }
  if (const auto models = llmd::config::parse_models_file(text, "fuzz.yaml")) {
    if (models->empty() || models->size() > llmd::config::kModelsMax) std::abort();
  } else {
    check_error(models.error());
  }
  return 0;
}
