#include "config/data_layer_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "scheduling/nearest_name.h"

namespace llmd::config {
namespace {

using scheduling::ParameterReader;

constexpr std::size_t kEnginesMax = 32;
constexpr std::size_t kCustomMetricsMax = 64;  // an engine
constexpr std::string_view kReservedEngine = "default";

std::unexpected<Error> invalid(std::string what, std::string hint = {}) {
  return fail(ErrorCode::kConfigInvalid, std::move(what), std::move(hint));
}

ParameterReader reader_of(const DecodedPlugin& plugin) {
  return ParameterReader{plugin.spec->parameters, plugin.instance.parameters};
}

Result<PageSource> page_of(const DecodedPlugin& plugin) {
  const ParameterReader reader = reader_of(plugin);
  PageSource page{.path = reader.text("path")};
  if (!page.path.starts_with('/')) page.path = fmt::format("/{}", page.path);
  const bool visible = std::ranges::all_of(page.path, [](char c) { return c > ' ' && c < 0x7F; });
  if (!visible || page.path.size() > 1'024)
    return invalid(fmt::format("{}: path is no path of a URL", plugin.spec->type), "percent-encode it");
  if (plugin.spec->find("port") != nullptr) page.port = static_cast<std::uint16_t>(reader.integer("port"));
  page.interval = reader.duration("interval");
  return page;
}

Result<MetricSpec> spec_of(const ParameterReader& reader, std::string_view parameter) {
  auto spec = parse_metric_spec(reader.text(parameter));
  if (!spec) spec.error().what = fmt::format("{}: {}", parameter, spec.error().what);
  return spec;
}

Result<std::vector<CustomMetric>> custom_metrics(const ParameterReader& reader) {
  std::vector<CustomMetric> metrics;
  for (const ParameterReader& each : reader.objects("customMetrics")) {
    CustomMetric metric{.attribute = each.text("attributeKey"), .series = {}};
    if (metric.attribute.empty()) return invalid("a custom metric has no attributeKey");
    if (std::ranges::find(metrics, metric.attribute, &CustomMetric::attribute) != metrics.end())
      return invalid(fmt::format("two custom metrics have the attributeKey \"{}\"", metric.attribute.substr(0, 64)));
    LLMD_TRY(metric.series, spec_of(each, "metricSpec"));
    if (metric.series.name.empty())
      return invalid(fmt::format("the custom metric \"{}\" has no metricSpec", metric.attribute.substr(0, 64)));
    metrics.push_back(std::move(metric));
  }
  if (metrics.size() > kCustomMetricsMax)
    return invalid(fmt::format("there are {} custom metrics; {} fit", metrics.size(), kCustomMetricsMax));
  return metrics;
}

Result<EngineConfig> engine_of(const ParameterReader& reader) {
  EngineConfig engine{.name = reader.text("name")};
  if (engine.name.empty()) return invalid("it has no name");
  if (engine.name == kReservedEngine) return invalid("the name \"default\" is taken", "give it another name");
  LLMD_TRY(engine.queued_requests, spec_of(reader, "queuedRequestsSpec"));
  LLMD_TRY(engine.running_requests, spec_of(reader, "runningRequestsSpec"));
  LLMD_TRY(engine.kv_usage, spec_of(reader, "kvUsageSpec"));
  LLMD_TRY(engine.lora, spec_of(reader, "loraSpec"));
  LLMD_TRY(engine.cache_info, spec_of(reader, "cacheInfoSpec"));
  LLMD_TRY(engine.block_tokens, spec_of(reader, "cacheBlockSizeSpec"));
  LLMD_TRY(engine.blocks, spec_of(reader, "cacheNumBlocksSpec"));
  if (std::string label = reader.text("cacheBlockSizeLabelName"); !label.empty())
    engine.block_tokens_label = std::move(label);
  if (std::string label = reader.text("cacheNumBlocksLabelName"); !label.empty())
    engine.blocks_label = std::move(label);
  LLMD_TRY(engine.custom, custom_metrics(reader));
  return engine;
}

Result<CoreExtractorConfig> engines_of(const DecodedPlugin& plugin) {
  const ParameterReader reader = reader_of(plugin);
  CoreExtractorConfig made;
  if (std::string label = reader.text("engineLabelKey"); !label.empty()) made.engine_label = std::move(label);
  std::vector<std::string_view> names{kKnownEngines.begin(), kKnownEngines.end()};
  std::size_t number = 0;
  for (const ParameterReader& each : reader.objects("engineConfigs")) {
    auto engine = engine_of(each);
    if (!engine) {
      return invalid(fmt::format("{}: engineConfigs[{}]: {}", plugin.spec->type, number, engine.error().what),
                     engine.error().hint);
    }
    if (std::ranges::find(made.engines, engine->name, &EngineConfig::name) != made.engines.end())
      return invalid(fmt::format("{}: two engines are named \"{}\"", plugin.spec->type, engine->name.substr(0, 64)));
    made.engines.push_back(*std::move(engine));
    ++number;
  }
  if (made.engines.size() > kEnginesMax)
    return invalid(fmt::format("{}: there are {} engines; {} fit", plugin.spec->type, number, kEnginesMax));
  for (const EngineConfig& engine : made.engines) names.push_back(engine.name);
  if (std::string name = reader.text("defaultEngine"); !name.empty()) made.default_engine = std::move(name);
  if (std::ranges::find(names, made.default_engine) == names.end()) {
    return invalid(fmt::format("{}: defaultEngine \"{}\" is not among the engines", plugin.spec->type,
                               made.default_engine.substr(0, 64)),
                   scheduling::nearest_name_hint(made.default_engine, names));
  }
  return made;
}

Result<ExporterSource> exporter_of(const DecodedPlugin& source, ExporterKind kind) {
  ExporterSource made{.kind = kind, .page = {}};
  LLMD_TRY(made.page, page_of(source));
  if (source.spec->find("useNodeAddress") != nullptr) made.use_node_address = reader_of(source).flag("useNodeAddress");
  if (made.use_node_address && made.page.port == 0)
    return invalid(fmt::format("{}: useNodeAddress needs a port", source.spec->type));
  return made;
}

/// What `extractor` reads of the page that `source` asks for.
Result<void> decode_pair(const DecodedPlugin& source, const DecodedPlugin& extractor, DataLayerConfig& layer) {
  const std::string_view type = extractor.spec->type;
  if (type == "core-metrics-extractor" && !layer.metrics) {
    LLMD_TRY(layer.metrics, page_of(source));
    LLMD_TRY(layer.extractor, engines_of(extractor));
  } else if (type == "models-data-extractor" && !layer.models) {
    LLMD_TRY(layer.models, page_of(source));
  } else if (type == "dcgm-extractor") {
    LLMD_TRY(ExporterSource exporter, exporter_of(source, ExporterKind::kDcgm));
    layer.exporters.push_back(std::move(exporter));
  } else if (type == "node-exporter-extractor") {
    LLMD_TRY(ExporterSource exporter, exporter_of(source, ExporterKind::kNode));
    layer.exporters.push_back(std::move(exporter));
  }
  return {};
}

}  // namespace

Result<void> decode_data_sources(DecodeContext& context, DataLayerConfig& layer) {
  layer.metrics.reset();
  for (const DataLayerConfig::Source& listed : layer.sources) {
    const DecodedPlugin* source = context.find(listed.source);
    for (const std::string& name : listed.extractors) {
      const DecodedPlugin* extractor = context.find(name);
      if (source == nullptr || extractor == nullptr) continue;  // check_references() has told
      const auto decoded = decode_pair(*source, *extractor, layer);
      if (decoded) continue;
      const bool of_extractor = decoded.error().what.starts_with(extractor->spec->type);
      const YamlNode* node = of_extractor ? extractor->node : source->node;
      if (node == nullptr) return decoded;
      return context.decoder.fail_at(*node, decoded.error().what, decoded.error().hint);
    }
  }
  return {};
}

}  // namespace llmd::config
