#include "apps/gateway/route_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/openai/model_list.h"
#include "flow/item.h"
#include "routing/fairness_id.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kShownBytes = 128;  // of a client's words in an error
constexpr std::size_t kListedModels = 16;

/// The names of which a request may use any for the same; the first counts where several are given.
constexpr std::array<std::string_view, 2> kTtftHeaders{"x-llm-d-slo-ttft-ms", "x-slo-ttft-ms"};
constexpr std::array<std::string_view, 2> kTpotHeaders{"x-llm-d-slo-tpot-ms", "x-slo-tpot-ms"};

void add_objective(net::Request& request, const std::array<std::string_view, 2>& names, std::optional<float> value) {
  const auto given = [&request](std::string_view name) { return request.headers.get(name).has_value(); };
  if (!value || std::ranges::any_of(names, given)) return;
  request.headers.add(std::string{names.front()}, fmt::format("{}", *value));
}

Error no_route(const modelroute::RouteTable& table, std::string_view model, std::string_view version) {
  std::vector<std::string> names = modelroute::routed_names(table);
  if (names.size() > kListedModels) {
    names.resize(kListedModels);
    names.emplace_back("...");
  }
  const std::string of_version =
      version.empty() ? std::string{} : fmt::format(" in version \"{}\"", version.substr(0, kShownBytes));
  return {.code = ErrorCode::kModelNotFound,
          .what = model.empty()
                      ? "the request names no model, and none is the default"
                      : fmt::format("the model \"{}\"{} is not served here", model.substr(0, kShownBytes), of_version),
          .hint = fmt::format("there are: {}", fmt::join(names, ", ")),
          .param = "model"};
}

Error no_class(const modelroute::RouteTable& table, std::string_view name) {
  std::vector<std::string_view> names;
  for (const modelroute::SlaClass& each : table.sla_classes()) names.emplace_back(each.name);
  return {.code = ErrorCode::kInvalidRequest,
          .what = fmt::format("{} is \"{}\", which is no class here", kSlaClassHeader, name.substr(0, kShownBytes)),
          .hint = names.empty() ? "leave the header out" : fmt::format("there are: {}", fmt::join(names, ", "))};
}

/// What keeps requests together on the route; empty: nothing.
std::string sticky_key(const modelroute::Route& route, const net::Request& request) {
  if (route.sticky == modelroute::Sticky::kNo) return {};
  const auto header = [&request](std::string_view name) { return request.headers.get(name); };
  if (route.sticky == modelroute::Sticky::kSession) {
    if (std::string session = routing::session_id_of(header); !session.empty()) return session;
  }
  std::string user = routing::fairness_id_of(header, {});
  return user == flow::kDefaultFairnessId ? std::string{} : user;
}

modelroute::Draw draw_for(const modelroute::Route& route, const net::Request& request, Rng& rng) {
  if (route.targets.size() == 1) return {};
  if (const std::string key = sticky_key(route, request); !key.empty()) return modelroute::sticky_draw(route, key);
  const std::uint64_t first = rng.next();
  return {.first = first, .second = rng.next()};
}

}  // namespace

Result<RoutedRequest> route_request(std::shared_ptr<const RouteView> view, net::Request& request,
                                    openai::RoutingFields& fields, Rng& rng) {
  const modelroute::RouteTable& table = view->table;
  const bool named = fields.model && !fields.model->empty() && *fields.model != openai::kDefaultModelAlias;
  modelroute::Query query{.model = named ? std::string_view{*fields.model} : table.default_model(),
                          .version = {},
                          .sla_class = {},
                          .header = [&request](std::string_view name) { return request.headers.get(name); }};
  if (view->named) {
    query.version = request.headers.get(kVersionHeader).value_or("");
    query.sla_class = request.headers.get(kSlaClassHeader).value_or(view->default_sla_class);
    if (!query.sla_class.empty()) {
      const modelroute::SlaClass* sla = table.sla_class(query.sla_class);
      if (sla == nullptr) return std::unexpected(no_class(table, query.sla_class));
      fields.priority = sla->priority.value_or(fields.priority);
      query.sla_class = sla->name;
    }
  }
  const modelroute::Found found = table.find(query);
  if (found.route == nullptr) return std::unexpected(no_route(table, query.model, query.version));
  RoutedRequest routed{.route = found.route, .model = std::string{found.model}, .shown = std::string{query.model}};
  // After the last use of what the query sees of the headers.
  if (const modelroute::SlaClass* sla = table.sla_class(query.sla_class); sla != nullptr) {
    add_objective(request, kTtftHeaders, sla->slo_ttft_ms);
    add_objective(request, kTpotHeaders, sla->slo_tpot_ms);
  }
  routed.draw = draw_for(*found.route, request, rng);
  routed.tried.resize(found.route->targets.size());
  routed.view = std::move(view);
  return routed;
}

std::optional<std::size_t> next_target(const RoutedRequest& routed, TimePoint now) {
  const modelroute::Route& route = *routed.route;
  const bool any_tried = std::ranges::find(routed.tried, 1) != routed.tried.end();
  if (route.targets.size() == 1) return any_tried ? std::nullopt : std::optional<std::size_t>{0};
  std::vector<std::uint8_t> may(route.targets.size());
  std::ranges::transform(routed.tried, may.begin(), [](std::uint8_t tried) { return tried == 0; });
  while (const auto chosen = modelroute::choose_target(route, may, routed.draw)) {
    if (routed.pool(*chosen).plane->router().can_serve(now)) return chosen;
    may[*chosen] = 0;
  }
  if (any_tried) return std::nullopt;
  return modelroute::choose_target(route, std::vector<std::uint8_t>(route.targets.size(), 1), routed.draw);
}

}  // namespace llmd::gateway
