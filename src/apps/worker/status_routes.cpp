#include <fmt/format.h>

#include <vector>

#include "api/openai/json_writer.h"
#include "api/openai/model_list.h"
#include "apps/worker/routes.h"
#include "base/percent_decoding.h"
#include "exporters/prometheus.h"
#include "model/endpoint.h"
#include "net/http.h"

namespace llmd::worker {
namespace {

openai::ModelCard card_of(Service& service, const std::string& name) {
  openai::ModelCard card{.id = name};
  if (service.has_model()) {
    card.created = service.model().created;
    const EngineInfo& info = service.model().engine->info();
    card.context_tokens = info.context_tokens;
    if (info.block_bytes > 0) card.block_fingerprint = to_hex(info.model_fingerprint);
  }
  return card;
}

std::string_view phase_name(Phase phase) noexcept {
  switch (phase) {
    case Phase::kLoading: return "loading";
    case Phase::kReady: return "ready";
    case Phase::kDraining: return "draining";
  }
  return "loading";
}

std::string status_json(Service& service) {
  std::string json;
  openai::JsonWriter writer{json};
  writer.begin_object().key("status").string(phase_name(service.phase()));
  writer.key("role").string(role_name(service.options().role)).end_object();
  return json;
}

}  // namespace

Task<void> handle_models(Service& service, Call& call) {
  std::vector<openai::ModelCard> cards;
  for (const std::string& name : service.options().served_names) cards.push_back(card_of(service, name));
  std::string json;
  openai::append_model_list(json, cards);
  co_await call.respond_json(200, std::move(json));
}

Task<void> handle_model(Service& service, Call& call) {
  const std::string name = percent_decoded(call.tail);
  const Result<void> known = service.check_model(name);
  if (!known) {
    co_await call.respond_error(known.error());
    co_return;
  }
  const bool alias = name == openai::kDefaultModelAlias;
  std::string json;
  openai::append_model(json, card_of(service, alias ? service.options().served_names.front() : name));
  co_await call.respond_json(200, std::move(json));
}

Task<void> handle_health(Service& service, Call& call) { co_await call.respond_json(200, status_json(service)); }

Task<void> handle_ready(Service& service, Call& call) {
  const int status = service.phase() == Phase::kReady ? 200 : 503;
  net::Response response{.status = status, .headers = {}, .body = status_json(service)};
  response.headers.add("Content-Type", "application/json");
  response.headers.add(std::string{kLoadedHeader}, std::to_string(service.loaded_percent()));
  co_await call.respond(std::move(response));
}

Task<void> handle_metrics(Service& service, Call& call) {
  net::Response response{.status = 200, .headers = {}, .body = render_prometheus(service.registry())};
  response.headers.add("Content-Type", std::string{kPrometheusContentType});
  co_await call.respond(std::move(response));
}

}  // namespace llmd::worker
