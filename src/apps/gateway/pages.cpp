#include <fmt/format.h>

#include <map>
#include <utility>

#include "api/openai/json_writer.h"
#include "api/openai/model_list.h"
#include "apps/gateway/service.h"
#include "base/percent_decoding.h"
#include "exporters/page_merger.h"
#include "exporters/prometheus.h"
#include "net/http.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kWorkerPageBytesMax = 4 * 1024 * 1024;

/// The models of all endpoints, each once, in the order of the endpoints: the first is what "default" means.
std::vector<openai::ModelCard> model_cards(const std::vector<pool::EndpointReport>& reports) {
  std::vector<openai::ModelCard> cards;
  for (const pool::EndpointReport& report : reports) {
    for (const ServedModel& model : report.state.endpoint->models) {
      const bool known = std::any_of(cards.begin(), cards.end(), [&](const auto& card) { return card.id == model.id; });
      if (known) continue;
      cards.push_back({.id = model.id, .created = model.created, .context_tokens = model.context_tokens});
    }
  }
  return cards;
}

}  // namespace

std::string Service::models_json() {
  std::string json;
  openai::append_model_list(json, model_cards(plane_->pool().report(SteadyClock::now())));
  return json;
}

Result<std::string> Service::model_json(std::string_view name) {
  const std::string wanted = percent_decoded(name);
  const auto cards = model_cards(plane_->pool().report(SteadyClock::now()));
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
  const auto view = plane_->pool().view(SteadyClock::now());
  std::size_t ready = 0;
  for (const EndpointState& state : view->snapshot.endpoints) {
    if (state.health == EndpointHealth::kReady || state.health == EndpointHealth::kProbing) ++ready;
  }
  return fmt::format(R"({{"status":"{}","endpoints_ready":{},"endpoints":{}}})",
                     ok          ? "ok"
                     : draining_ ? "draining"
                                 : "unavailable",
                     ready, view->snapshot.endpoints.size());
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
  const config::ConfigVersion version = plane_->live_config().versions().current();
  writer.key("config").string(version.text);
  writer.key("config_version").integer(static_cast<std::int64_t>(version.number));
  const auto scheduler = plane_->router().scheduler();
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

Task<std::string> Service::metrics_page(LoopContext& context) {
  std::string own = render_prometheus(metrics_);
  if (!setup_.options.merge_worker_metrics) co_return own;
  PageMerger merger;
  merger.add(own);
  for (const auto& endpoint : plane_->pool().endpoints()) {
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
