#include "eppmetrics/decision_metrics.h"

#include <algorithm>

#include "eppmetrics/inflight_metrics.h"
#include "eppmetrics/plugin_families.h"
#include "eppmetrics/scheduler_families.h"

namespace llmd::eppmetrics {
namespace {

constexpr std::string_view kPdHandler = "pd-profile-handler";

/// The pod of an endpoint: llm-d names endpoints after it, with the number of the port behind.
std::string_view without_rank(std::string_view name) noexcept {
  constexpr std::string_view kRank = "-rank-";
  const std::size_t place = name.rfind(kRank);
  if (place == std::string_view::npos) return name;
  const std::string_view rank = name.substr(place + kRank.size());
  const bool number = !rank.empty() && std::ranges::all_of(rank, [](char c) { return c >= '0' && c <= '9'; });
  return number ? name.substr(0, place) : name;
}

std::string_view port_of(std::string_view url) noexcept {
  const std::size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || url.substr(colon).starts_with("://")) return {};
  const std::string_view rest = url.substr(colon + 1);
  return rest.substr(0, rest.find('/'));
}

}  // namespace

DecisionMetrics::DecisionMetrics(MetricsRegistry& registry, const DecisionPlugins& plugins)
    : registry_{registry}, disagg_{plugins.disagg}, duration_{histogram_of(registry, kSchedulerDuration)} {
  if (!plugins.prefix) return;
  const std::array<std::string_view, 2> values{plugins.prefix->name, plugins.prefix->type};
  prefix_entries_ = &gauge_of(registry, kPrefixSize, values);
  prefix_ratio_ = &histogram_of(registry, kPrefixHitRatio, values);
  prefix_bytes_ = &histogram_of(registry, kPrefixHitBytes, values);
}

void DecisionMetrics::decided(const Decision& decision, const RequestFacts& facts, std::string_view target_model,
                              Duration took) {
  const bool dispatched = decision.outcome == Decision::Outcome::kDispatch;
  duration_.observe(to_seconds(took));
  attempts(target_model, dispatched ? decision.decode.get() : nullptr).add();
  if (!dispatched) return;
  if (disagg_) count_stages(decision, target_model);
  if (prefix_ratio_ != nullptr) count_prefix(decision, facts);
}

Counter& DecisionMetrics::attempts(std::string_view target_model, const Endpoint* endpoint) {
  const auto series = [this](const std::array<std::string_view, 5>& values) {
    return &counter_of(registry_, kSchedulerAttempts, values);
  };
  if (endpoint == nullptr) {
    return *failures_.find_or_make({target_model},
                                   [&](const auto& model) { return series({"failure", model[0], "", "", ""}); });
  }
  return *successes_.find_or_make({target_model, endpoint->name, endpoint->url}, [&](const auto& values) {
    const EndpointName parts = split_endpoint_name(values[1]);
    return series({"success", values[0], without_rank(parts.name), parts.name_space, port_of(values[2])});
  });
}

void DecisionMetrics::count_stages(const Decision& decision, std::string_view target_model) {
  const std::string_view model = target_model.empty() ? "unknown" : target_model;
  const auto stages = stages_.find_or_make({model}, [&](const auto& values) {
    const Family& family = disagg_->type == kPdHandler ? kPdDecisions : kDisaggDecisions;
    constexpr std::array<std::string_view, 4> kTypes{"decode-only", "prefill-decode", "encode-decode",
                                                     "encode-prefill-decode"};
    auto made = std::make_shared<Stages>();
    for (std::size_t i = 0; i < kTypes.size(); ++i) {
      (*made)[i] = &counter_of(registry_, family,
                               std::array<std::string_view, 4>{disagg_->name, disagg_->type, values[0], kTypes[i]});
    }
    return made;
  });
  (*stages)[(decision.prefill == nullptr ? 0U : 1U) + (decision.encode.empty() ? 0U : 2U)]->add();
}

void DecisionMetrics::count_prefix(const Decision& decision, const RequestFacts& facts) {
  constexpr double kBytesPerToken = 4;
  const auto cached = static_cast<double>(decision.cached_tokens_expected);
  const auto blocks = static_cast<double>(facts.prefix.hashes.size());
  prefix_bytes_->observe(cached * kBytesPerToken);
  if (blocks > 0) prefix_ratio_->observe(std::min(1.0, cached / (blocks * facts.prefix.block_tokens)));
}

void DecisionMetrics::set_prefix_entries(std::size_t entries) {
  if (prefix_entries_ != nullptr) prefix_entries_->set(static_cast<double>(entries));
}

}  // namespace llmd::eppmetrics
