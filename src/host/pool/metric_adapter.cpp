#include "pool/metric_adapter.h"

#include <algorithm>
#include <utility>

namespace llmd::pool {
namespace {

constexpr std::string_view kOldEngineLabel = "inference.networking.k8s.io/engine-type";

std::string_view label_of(const Endpoint& endpoint, const std::string& label) noexcept {
  const auto found = endpoint.labels.find(label);
  return found == endpoint.labels.end() ? std::string_view{} : std::string_view{found->second};
}

}  // namespace

std::uint8_t MetricAdapter::add_engine(Engine engine) {
  engines_.push_back(std::move(engine));
  return static_cast<std::uint8_t>(engines_.size() - 1);
}

void MetricAdapter::want(const config::MetricSpec& spec, Target target) {
  if (spec.name.empty()) return;
  const std::size_t name = names_.add(spec.name);
  targets_.resize(names_.size());
  target.labels = spec.labels;
  targets_[name].push_back(std::move(target));
}

void MetricAdapter::add(const KnownEngine& engine) {
  const std::uint8_t number = add_engine({.name = std::string{engine.name},
                                          .block_tokens_label = std::string{engine.block_tokens_label},
                                          .blocks_label = std::string{engine.blocks_label}});
  for (const KnownSeries& series : engine.series) {
    const auto spec = config::parse_metric_spec(series.spec);
    const bool adds_up = series.adds_up || is_counter(series.field);
    // A test holds that all are specs.
    if (spec) want(*spec, {.engine = number, .field = series.field, .adds_up = adds_up});
  }
}

void MetricAdapter::add(const config::EngineConfig& engine) {
  Engine made{
      .name = engine.name, .block_tokens_label = engine.block_tokens_label, .blocks_label = engine.blocks_label};
  for (const config::CustomMetric& custom : engine.custom) made.attributes.push_back(custom.attribute);
  std::ranges::sort(made.attributes);
  const std::vector<std::string> attributes = made.attributes;
  const std::uint8_t number = add_engine(std::move(made));
  const std::pair<EngineField, const config::MetricSpec*> fields[] = {
      {EngineField::kWaiting, &engine.queued_requests}, {EngineField::kRunning, &engine.running_requests},
      {EngineField::kKvUsage, &engine.kv_usage},        {EngineField::kLora, &engine.lora},
      {EngineField::kCacheInfo, &engine.cache_info},    {EngineField::kBlockTokens, &engine.block_tokens},
      {EngineField::kBlocks, &engine.blocks},
  };
  for (const auto& [field, spec] : fields) want(*spec, {.engine = number, .field = field});
  for (const config::CustomMetric& custom : engine.custom) {
    const auto place = std::ranges::lower_bound(attributes, custom.attribute) - attributes.begin();
    want(custom.series, {.engine = number, .field = EngineField::kNamed, .named = static_cast<std::uint16_t>(place)});
  }
}

void MetricAdapter::prefer(std::string_view engine) {
  const auto found = std::ranges::find(engines_, engine, &Engine::name);
  if (found != engines_.end()) preferred_ = static_cast<std::size_t>(found - engines_.begin());
}

MetricAdapters::MetricAdapters(const config::CoreExtractorConfig& config) : label_{config.engine_label} {
  for (const config::EngineConfig& engine : config.engines) {
    by_name_[engine.name].add(engine);
    any_.add(engine);
  }
  for (const KnownEngine& engine : known_engines()) {
    const auto [at, made] = by_name_.try_emplace(std::string{engine.name});
    if (!made) continue;
    at->second.add(engine);
    any_.add(engine);
  }
  by_name_.try_emplace(std::string{kOllama});  // its page says nothing that has a name
  any_.prefer(config.default_engine);
}

std::string_view MetricAdapters::engine_of(const Endpoint& endpoint) const noexcept {
  for (const std::string_view engine : {label_of(endpoint, label_), label_of(endpoint, std::string{kOldEngineLabel})}) {
    if (engine.empty()) continue;
    const auto found = by_name_.find(engine);
    return found == by_name_.end() ? std::string_view{} : std::string_view{found->first};
  }
  return {};
}

const MetricAdapter& MetricAdapters::named(std::string_view engine) const noexcept {
  const auto found = by_name_.find(engine);
  return found == by_name_.end() ? any_ : found->second;
}

const MetricAdapter& MetricAdapters::of(const Endpoint& endpoint) const noexcept { return named(engine_of(endpoint)); }

}  // namespace llmd::pool
