#include "apps/sidecar/request_plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/percent_decoding.h"
#include "base/uuid.h"
#include "net/hop_by_hop.h"

namespace llmd::sidecar {
namespace {

constexpr std::size_t kTargetsMax = 1'024;  // of one request
constexpr std::string_view kPrefiller = "x-prefiller-host-port";
constexpr std::string_view kEncoders = "x-encoder-hosts-ports";
constexpr std::string_view kSource = "x-kv-cache-source-host-port";
constexpr std::string_view kRank = "x-data-parallel-host-port";
constexpr std::string_view kRequestId = "x-request-id";
constexpr std::string_view kForwardedFor = "x-forwarded-for";

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

/// The items of a header, in one field or several.
std::vector<std::string_view> items_of(const net::Headers& headers, std::string_view name) {
  std::vector<std::string_view> items;
  for (const auto& [field, value] : headers) {
    if (!net::equals_ignoring_case(field, name)) continue;
    std::string_view rest = value;
    while (!rest.empty() && items.size() < kTargetsMax) {
      const std::string_view item = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      if (!trimmed(item).empty()) items.push_back(trimmed(item));
    }
  }
  return items;
}

/// An address over TCP; the side's configuration says whether it speaks TLS.
std::optional<net::Address> target_of(std::string_view text, bool tls) {
  auto address = net::Address::parse_url(text);
  if (!address || address->is_unix() || address->port == 0) return std::nullopt;
  address->tls = tls;
  return *std::move(address);
}

bool is_allowed(const net::Address& target, const PlanContext& context) {
  return context.allowed == nullptr || context.allowed->contains(target.host);
}

void plan_prefill(const net::Request& request, const PlanContext& context, RequestPlan& plan) {
  const auto items = items_of(request.headers, kPrefiller);
  if (items.empty()) return;
  const std::size_t chosen = context.options.prefiller_sampling ? context.rng.below(items.size()) : 0;
  const auto target = target_of(items[chosen], context.options.prefiller_tls.enabled);
  if (target && is_allowed(*target, context)) {
    plan.prefill = target;
  } else if (target || context.allowed != nullptr) {
    plan.prefill_denied = items[chosen];
  } else {
    plan.prefill_unusable = true;
  }
}

void plan_source(const net::Request& request, const PlanContext& context, RequestPlan& plan) {
  const Options& options = context.options;
  const bool pulls = options.connector == pd::Connector::kOffloading ||
                     (options.p2p_pull && options.connector == pd::Connector::kNixl);
  const auto items = items_of(request.headers, kSource);
  if (!pulls || items.empty()) return;
  const auto target = target_of(items.front(), false);
  if (target && is_allowed(*target, context)) {
    plan.kv_source = target;
  } else {
    ++plan.dropped;
  }
}

void plan_encoders(const net::Request& request, const PlanContext& context, RequestPlan& plan) {
  if (context.options.encoder_connector == EncoderConnector::kNone) return;
  for (const std::string_view item : items_of(request.headers, kEncoders)) {
    const auto target = target_of(item, context.options.encoder_tls.enabled);
    if (target && is_allowed(*target, context)) {
      plan.encoders.push_back(*target);
    } else {
      ++plan.dropped;
    }
  }
}

void plan_rank(const net::Request& request, const PlanContext& context, RequestPlan& plan) {
  const auto named = request.headers.get(kRank);
  if (!named || named->empty() || context.rank != 0) return;
  const auto target = target_of(*named, false);
  const bool here = target && target->host == context.options.pod_ip && target->port >= context.options.port &&
                    target->port < context.options.port + context.options.data_parallel_size;
  if (here) {
    plan.rank = target->port - context.options.port;
  } else {
    plan.rank_unknown = true;
  }
}

}  // namespace

bool is_split_path(std::string_view path) noexcept {
  static constexpr std::array<std::string_view, 5> kPaths{"/v1/chat/completions", "/v1/completions", "/v1/messages",
                                                          "/v1/responses", "/inference/v1/generate"};
  return std::ranges::find(kPaths, path) != kPaths.end();
}

std::uint16_t p2p_port_of(const net::Address& target, const Options& options) noexcept {
  const int rank = int{target.port} - int{options.port};
  const bool is_rank = rank >= 0 && rank < int{options.data_parallel_size};
  return static_cast<std::uint16_t>(options.p2p_port + (is_rank ? rank : 0));
}

RequestPlan make_plan(const net::Request& request, const PlanContext& context) {
  RequestPlan plan;
  const bool splits = request.method == "POST" && is_split_path(percent_decoded(request.path()));
  plan.headers = net::end_to_end(request.headers);
  if (splits) {
    plan_prefill(request, context, plan);
    plan_source(request, context, plan);
    plan_encoders(request, context, plan);
    plan_rank(request, context, plan);
  }
  for (const std::string_view name : {kPrefiller, kEncoders, kSource}) plan.headers.remove(name);
  plan.request_id = request.headers.get(kRequestId).value_or("");
  if (splits && plan.request_id.empty()) plan.request_id = uuid4(context.rng);
  if (!plan.request_id.empty()) plan.headers.set(kRequestId, plan.request_id);
  std::string came_from{request.peer.substr(0, request.peer.rfind(':'))};
  if (const auto before = request.headers.get(kForwardedFor)) came_from = std::string{*before} + ", " + came_from;
  plan.headers.set(kForwardedFor, std::move(came_from));
  return plan;
}

}  // namespace llmd::sidecar
