#include <fmt/format.h>

#include <map>
#include <utility>

#include "admin/plane_sources.h"
#include "api/openai/json_writer.h"
#include "api/openai/model_list.h"
#include "apps/gateway/routed_models.h"
#include "apps/gateway/service.h"
#include "base/percent_decoding.h"
#include "exporters/page_merger.h"
#include "exporters/prometheus.h"
#include "net/http.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kWorkerPageBytesMax = 4 * 1024 * 1024;

}  // namespace

std::string Service::models_json() {
  std::string json;
  openai::append_model_list(json, model_cards(*pools_->view(), SteadyClock::now()));
  return json;
}

Result<std::string> Service::model_json(std::string_view name) {
  const std::string wanted = percent_decoded(name);
  const auto cards = model_cards(*pools_->view(), SteadyClock::now());
  for (const openai::ModelCard& card : cards) {
    if (card.id != wanted && wanted != openai::kDefaultModelAlias) continue;
    std::string json;
    openai::append_model(json, card);
    return json;
  }
  return std::unexpected(Error{.code = ErrorCode::kModelNotFound,
                               .what = "the model of this name is not served here",
                               .hint = "GET /v1/models lists the names",
                               .param = "model"});
}

std::string Service::health_json(bool ok) {
  std::size_t ready = 0;
  std::size_t all = 0;
  for (ServingPool* pool : pools_->view()->pools) {
    const auto view = pool->plane->pool().view(SteadyClock::now());
    all += view->snapshot.endpoints.size();
    for (const EndpointState& state : view->snapshot.endpoints) {
      if (state.health == EndpointHealth::kReady || state.health == EndpointHealth::kProbing) ++ready;
    }
  }
  return fmt::format(R"({{"status":"{}","endpoints_ready":{},"endpoints":{}}})",
                     ok          ? "ok"
                     : draining_ ? "draining"
                                 : "unavailable",
                     ready, all);
}

std::string Service::config_json() {
  const Options& options = setup_.options;
  std::string json;
  openai::JsonWriter writer{json};
  writer.begin_object();
  writer.key("listen").string(address().to_string());
  writer.key("endpoints").string(options.endpoints);
  writer.key("config_path").string(options.config_path);
  writer.key("in_flight_max").integer(options.in_flight_max);
  writer.key("attempts_max").integer(options.attempts_max);
  writer.key("request_timeout_ms").integer(options.request_timeout.count());
  writer.key("probe_interval_ms").integer(options.probe_interval.count());
  const auto view = pools_->view();
  if (view->named) {
    writer.key("routes_path").string(options.routes_path);
    writer.key("pools").begin_array();
    for (const ServingPool* pool : view->pools) writer.string(pool->name);
    writer.end_array().key("routes").begin_array();
    for (const modelroute::Route& route : view->table.routes()) writer.string(route.name);
    writer.end_array();
  }
  routing::Plane& plane = *view->pools.front()->plane;
  const config::ConfigVersion version = plane.live_config().versions().current();
  writer.key("config").string(version.text);
  writer.key("config_version").integer(static_cast<std::int64_t>(version.number));
  const auto scheduler = plane.router().scheduler();
  writer.key("profiles").begin_array();
  for (const scheduling::ProfileConfig& profile : scheduler->config().profiles) {
    writer.begin_object().key("name").string(profile.name).key("plugins").begin_array();
    for (const scheduling::PluginRef& ref : profile.plugins) {
      writer.begin_object()
          .key("plugin")
          .string(ref.plugin)
          .key("weight")
          .number(static_cast<float>(ref.weight))
          .end_object();
    }
    writer.end_array().end_object();
  }
  writer.end_array().end_object();
  return json;
}

std::string Service::summary_json() {
  std::string json;
  openai::JsonWriter writer{json};
  const auto requests = request_seconds_.view();
  writer.begin_object();
  writer.key("listen").string(address().to_string());
  writer.key("uptime_ms").integer(std::chrono::duration_cast<milliseconds>(SteadyClock::now() - started_at_).count());
  writer.key("requests_in_flight").integer(in_flight_.load(std::memory_order_relaxed));
  writer.key("requests").integer(static_cast<std::int64_t>(requests.count));
  writer.key("request_seconds").number(static_cast<float>(requests.sum));
  writer.key("prompt_tokens").integer(static_cast<std::int64_t>(prompt_tokens_.value()));
  writer.key("cached_tokens").integer(static_cast<std::int64_t>(cached_tokens_.value()));
  writer.key("completion_tokens").integer(static_cast<std::int64_t>(completion_tokens_.value()));
  writer.key("kv_bytes").integer(static_cast<std::int64_t>(kv_bytes_.value()));
  writer.key("draining").boolean(draining_);
  writer.end_object();
  return json;
}

admin::AdminSources Service::admin_sources() {
  admin::AdminSources sources =
      admin::sources_of(*pools_->first().plane, [this] { return config_json(); }, [this] { return summary_json(); });
  if (!pools_->view()->named) return sources;
  // A request may have been given to two pools: where it ended counts.
  sources.record = [this](std::string_view id) {
    std::optional<routing::RequestRecord> found;
    for (ServingPool* pool : pools_->view()->pools) {
      auto record = pool->plane->router().find(id);
      if (record && (!found || !found->outcome || found->outcome->endpoint_failed)) found = std::move(record);
    }
    return found;
  };
  sources.endpoints = [this] {
    std::vector<pool::EndpointReport> reports;
    for (ServingPool* pool : pools_->view()->pools) {
      for (pool::EndpointReport& report : pool->plane->pool().report(SteadyClock::now())) {
        report.pool = pool->name;
        reports.push_back(std::move(report));
      }
    }
    return reports;
  };
  return sources;
}

Task<std::string> Service::metrics_page(LoopContext& context) {
  std::string own = render_prometheus(metrics_);
  if (!setup_.options.merge_worker_metrics) co_return own;
  PageMerger merger;
  merger.add(own);
  std::vector<std::shared_ptr<const Endpoint>> endpoints;
  for (ServingPool* pool : pools_->view()->pools) {
    for (auto& endpoint : pool->plane->pool().endpoints()) endpoints.push_back(std::move(endpoint));
  }
  for (const auto& endpoint : endpoints) {
    const auto address = net::Address::parse(endpoint->url);
    if (!address) continue;
    auto response = co_await context.pages.send(*address, {.method = "GET", .target = "/metrics"}, nullptr);
    if (!response || (*response)->status() != 200) continue;
    const auto page = co_await (*response)->read_all(kWorkerPageBytesMax);
    if (page) merger.add(*page, "worker", endpoint->name);
  }
  co_return merger.render();
}

}  // namespace llmd::gateway
