#include "pool/engine_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace llmd::pool {
namespace {

constexpr std::int64_t kNoTimestamp = -1;  // older than any
constexpr std::size_t kAdaptersMax = 256;  // a state; more are not kept

/// A count may come as "3", "3.0" or "3e2". No value if it is negative, not finite or too large for T.
template <class T>
std::optional<T> to_count(std::optional<double> value) {
  if (!value || !std::isfinite(*value) || *value < 0 || *value > static_cast<double>(std::numeric_limits<T>::max() / 2))
    return std::nullopt;
  return static_cast<T>(*value);
}

std::optional<float> to_share(std::optional<double> value) {
  return value && *value >= 0 && *value <= 1 ? std::optional{static_cast<float>(*value)} : std::nullopt;
}

std::optional<float> to_float(std::optional<double> value) {
  return value ? std::optional{static_cast<float>(*value)} : std::nullopt;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty() && names.size() < kAdaptersMax) {
    const std::size_t comma = text.find(',');
    std::string_view name = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

std::shared_ptr<const LoraState> lora_of(std::string_view labels) {
  auto lora = std::make_shared<LoraState>();
  lora->running = split_names(LabelReader::value_of(labels, "running_lora_adapters"));
  lora->waiting = split_names(LabelReader::value_of(labels, "waiting_lora_adapters"));
  lora->adapters_max = to_count<std::uint32_t>(read_number(LabelReader::value_of(labels, "max_lora"))).value_or(0);
  return lora;
}

bool has_labels(std::string_view labels, const std::vector<config::MetricSpec::Label>& wanted) {
  return std::ranges::all_of(wanted, [labels](const config::MetricSpec::Label& label) {
    const auto value = LabelReader::find(labels, label.name);
    return value && LabelReader::same(*value, label.value);
  });
}

std::size_t index_of(EngineField field) { return static_cast<std::size_t>(field); }

}  // namespace

EngineMetricsParser::EngineMetricsParser(const MetricAdapter& adapter)
    : ExpositionReader{adapter.names()}, adapter_{adapter} {
  if (adapter.engines().size() > 1) others_.resize(adapter.engines().size() - 1);
  for (std::size_t i = 0; i < adapter.engines().size(); ++i) {
    found(i).named.resize(adapter.engines()[i].attributes.size());
    found(i).named_at.resize(adapter.engines()[i].attributes.size());
  }
}

void EngineMetricsParser::on_sample(const Sample& sample) {
  for (const MetricAdapter::Target& target : adapter_.targets(sample.name)) {
    if (target.labels.empty() || has_labels(sample.labels, target.labels)) take(target, sample);
  }
}

void EngineMetricsParser::take(const MetricAdapter::Target& target, const Sample& sample) {
  Found& of = found(target.engine);
  const std::size_t field = index_of(target.field);
  if (target.adds_up) {
    if (std::isfinite(sample.value)) of.values[field] = of.values[field].value_or(0) + sample.value;
    return;
  }
  // Old label sets stay on a page of adapters: the one with the latest time, which is its value, is now.
  const bool lora = target.field == EngineField::kLora;
  if (lora && !(sample.value >= 0 && sample.value < 1e15)) return;
  const std::int64_t stamp =
      lora ? static_cast<std::int64_t>(sample.value * 1'000) : sample.timestamp.value_or(kNoTimestamp);
  const bool named = target.field == EngineField::kNamed;
  std::optional<double>& value = named ? of.named[target.named] : of.values[field];
  std::int64_t& taken_at = named ? of.named_at[target.named] : of.taken_at[field];
  if (value && taken_at >= stamp) return;
  if (target.field == EngineField::kKvUsage && !to_share(sample.value)) return;
  value = sample.value;
  taken_at = stamp;
  if (lora) of.lora_labels = sample.labels;
  if (target.field == EngineField::kCacheInfo) {
    const MetricAdapter::Engine& engine = adapter_.engines()[target.engine];
    of.block_tokens = read_number(LabelReader::value_of(sample.labels, engine.block_tokens_label));
    of.blocks = read_number(LabelReader::value_of(sample.labels, engine.blocks_label));
  }
}

/// The engine of which most was found.
std::size_t EngineMetricsParser::choose() {
  std::size_t best = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < adapter_.engines().size(); ++i) {
    const Found& of = found(i);
    const auto here = static_cast<std::size_t>(
        std::ranges::count_if(of.values, [](const std::optional<double>& value) { return value.has_value(); }) +
        std::ranges::count_if(of.named, [](const std::optional<double>& value) { return value.has_value(); }));
    if (here < most || (here == most && i != adapter_.preferred())) continue;
    most = here;
    best = i;
  }
  engine_ = most > 0 ? std::string_view{adapter_.engines()[best].name} : std::string_view{};
  return best;
}

EngineReadings EngineMetricsParser::finish() {
  end_page();
  EngineReadings readings;
  if (adapter_.engines().empty()) return readings;
  const std::size_t best = choose();
  const Found& of = found(best);
  const auto value = [&of](EngineField field) { return of.values[index_of(field)]; };
  const auto either = [&value](EngineField field, EngineField old) {
    const auto now = value(field);
    return now ? now : value(old);
  };
  readings.waiting_requests = to_count<std::uint32_t>(value(EngineField::kWaiting));
  readings.running_requests = to_count<std::uint32_t>(value(EngineField::kRunning));
  readings.kv_usage = to_share(value(EngineField::kKvUsage));
  const auto block_tokens = value(EngineField::kBlockTokens);
  const auto blocks = value(EngineField::kBlocks);
  readings.kv_block_tokens = to_count<std::uint32_t>(block_tokens ? block_tokens : of.block_tokens);
  readings.kv_blocks = to_count<std::uint64_t>(blocks ? blocks : of.blocks);
  if (value(EngineField::kLora)) readings.lora = lora_of(of.lora_labels);
  readings.queued_tokens = to_float(value(EngineField::kQueuedTokens));
  readings.decode_tokens_left = to_float(value(EngineField::kDecodeTokensLeft));
  readings.cpu_use = to_share(value(EngineField::kCpuUse));
  readings.memory_use = to_share(value(EngineField::kMemoryUse));
  readings.prompt_tokens = value(EngineField::kPromptTokens);
  readings.generation_tokens = value(EngineField::kGenerationTokens);
  readings.prefix_query_tokens = either(EngineField::kPrefixQueries, EngineField::kOldPrefixQueries);
  readings.prefix_hit_tokens = either(EngineField::kPrefixHits, EngineField::kOldPrefixHits);
  for (std::size_t i = 0; i < of.named.size(); ++i) {
    if (of.named[i] && std::isfinite(*of.named[i]))
      readings.named.push_back({adapter_.engines()[best].attributes[i], static_cast<float>(*of.named[i])});
  }
  return readings;
}

}  // namespace llmd::pool
