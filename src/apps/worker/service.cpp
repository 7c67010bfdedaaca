#include "apps/worker/service.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "api/openai/credentials.h"
#include "api/openai/model_list.h"
#include "apps/worker/routes.h"
#include "net/address.h"
#include "telemetry/log.h"

namespace llmd::worker {
namespace {

constexpr unsigned kOffloadThreads = 2;
constexpr std::size_t kOffloadJobsMax = 64;

std::uint64_t fresh_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

/// Raises a gauge while it lives.
class GaugeHold {
 public:
  explicit GaugeHold(Gauge* gauge) : gauge_{gauge} {
    if (gauge_ != nullptr) gauge_->add(1);
  }
  ~GaugeHold() {
    if (gauge_ != nullptr) gauge_->add(-1);
  }
  GaugeHold(const GaugeHold&) = delete;
  GaugeHold& operator=(const GaugeHold&) = delete;

 private:
  Gauge* gauge_;
};

bool is_unix(const std::string& listen) {
  const auto address = net::Address::parse(listen);
  return address && address->is_unix();
}

Counter& prompts(MetricsRegistry& registry, const char* by) {
  return registry.counter("llmd_worker_prompts_total", "Prompts given as text, by who turned them into tokens",
                          {{"tokenised_by", by}});
}

Error no_route(const net::Request& request, const RouteMatch& match) {
  if (match.allowed.empty()) {
    return Error{
        .code = ErrorCode::kNotFound,
        .what = "no such path here",
        .hint = "the API is under /v1/: chat/completions, completions, responses, messages, embeddings, models"};
  }
  return Error{.code = ErrorCode::kMethodNotAllowed,
               .what = fmt::format("{} is not allowed here; expected {}", request.method.substr(0, 16), match.allowed)};
}

}  // namespace

Service::Service(Loop& loop, const Options& options, MetricsRegistry& registry, Offload& offload)
    : loop_{loop},
      options_{options},
      registry_{registry},
      metrics_{registry, options.served_names.front()},
      router_{std::make_shared<EventRouter>(loop)},
      offload_{offload},
      prompts_tokenised_here_{prompts(registry, "worker")},
      prompts_tokenised_before_{prompts(registry, "gateway")},
      rng_{fresh_seed()},
      trusts_listener_{is_unix(options.listen)} {
  metrics_.set_ready(false);
}

std::unique_ptr<Offload> Service::make_offload() { return std::make_unique<Offload>(kOffloadThreads, kOffloadJobsMax); }

void Service::set_model(LoadedModel model) {
  model_.emplace(std::move(model));
  metrics_.attach(*model_->engine);
  if (phase_ == Phase::kLoading) {
    phase_ = Phase::kReady;
    metrics_.set_ready(true);
  }
}

void Service::set_draining() {
  phase_ = Phase::kDraining;
  metrics_.set_ready(false);
}

std::vector<openai::PromptTokens> Service::known_prompts(const openai::GenerationRequest& request) const {
  if (!trusts_listener_ || request.prompt_tokens.empty()) return {};
  return openai::decode_prompt_tokens(request.prompt_tokens);
}

void Service::count_prompts(std::size_t prompts, std::size_t known) {
  prompts_tokenised_before_.add(static_cast<double>(known));
  prompts_tokenised_here_.add(static_cast<double>(prompts - known));
}

Result<void> Service::check_model(std::string_view name) const {
  if (name.empty() || name == openai::kDefaultModelAlias) return {};
  for (const std::string& served : options_.served_names) {
    if (name == served) return {};
  }
  Error error{.code = ErrorCode::kModelNotFound,
              .what = "the model of this name is not served here",
              .hint = fmt::format("this server has \"{}\", also known as \"default\"", options_.served_names.front()),
              .param = "model"};
  return std::unexpected(std::move(error));
}

Result<void> Service::admit(const net::Request& request, bool needs_model) const {
  if (!openai::authorized(options_.api_key, openai::GivenKeys{.authorization = request.headers.get("authorization"),
                                                              .x_api_key = request.headers.get("x-api-key")})) {
    return fail(ErrorCode::kInvalidApiKey, "the bearer key is missing or wrong", "send Authorization: Bearer KEY");
  }
  if (!needs_model) return {};
  if (phase_ == Phase::kDraining) return fail(ErrorCode::kShuttingDown, "this worker is shutting down");
  if (phase_ == Phase::kLoading) return fail(ErrorCode::kNoEndpoint, "the model is still loading", "wait for /ready");
  return {};
}

std::string Service::request_id(const net::Request& request) {
  if (auto given = openai::accept_request_id(request.headers.get("x-request-id"))) return *std::move(given);
  const std::uint64_t high = rng_.next();
  return openai::make_request_id(high, static_cast<std::uint32_t>(rng_.next()));
}

RouteMatch Service::route_of(const net::Request& request) const {
  const RouteMatch match = find_route(request.method, request.path());
  const bool hidden = match.route != nullptr && match.route->of_simulation && (!model_ || !model_->simulated);
  return hidden ? RouteMatch{} : match;
}

Task<void> Service::handle(net::Request request, net::Exchange& exchange) {
  const std::string path{request.path()};
  const RouteMatch match = route_of(request);
  std::string id = request_id(request);
  Call call{std::move(request), exchange, std::move(id), metrics_};
  if (match.route == nullptr || !match.route->open) {
    const Result<void> admitted = admit(call.request(), match.route != nullptr && match.route->needs_model);
    if (!admitted) {
      co_await call.respond_error(admitted.error());
      co_return;
    }
  }
  if (match.route == nullptr) {
    co_await call.respond_error(no_route(call.request(), match));
    co_return;
  }
  call.tail = std::string{match.tail};
  const GaugeHold hold{match.route->inference ? &metrics_.in_flight() : nullptr};
  co_await match.route->handle(*this, call);
  if (match.route->inference) {
    log::write(
        log::Level::kInfo, call.id(),
        fmt::format("{} {} in {:.1f} ms", path, call.status(), to_milliseconds(SteadyClock::now() - call.arrived())));
  }
}

}  // namespace llmd::worker
