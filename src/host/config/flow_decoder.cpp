#include "config/flow_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "config/quantity.h"

namespace llmd::config {
namespace {

using scheduling::PluginKind;

/// A quantity that is not negative; 0 leaves the value as it is, as in llm-d.
Result<void> decode_quantity(const YamlNode& node, std::string_view field, const DecodeContext& context,
                             std::uint64_t& value) {
  LLMD_TRY(const std::string text, context.decoder.text(node, field));
  const auto number = parse_quantity(text);
  if (!number) {
    return context.decoder.fail_at(
        node, fmt::format("{} is \"{}\"; expected a quantity such as 4Gi or 200", field, text.substr(0, 64)));
  }
  if (*number < 0)
    return context.decoder.fail_at(node, fmt::format("{} is {}; expected 0 or more", field, text.substr(0, 64)));
  if (*number > 0) value = static_cast<std::uint64_t>(*number);
  return {};
}

Result<std::chrono::milliseconds> decode_duration(const YamlNode& node, std::string_view field,
                                                  const DecodeContext& context) {
  LLMD_TRY(const std::string text, context.decoder.text(node, field));
  if (const auto duration = scheduling::parse_go_duration(text)) return *duration;
  return context.decoder.fail_at(
      node, fmt::format("{} is \"{}\"; expected a duration such as 200ms, 5s or 1m30s", field, text.substr(0, 64)));
}

Result<flow::BandConfig> decode_band(const YamlNode& node, DecodeContext& context) {
  flow::BandConfig band;
  const FieldDecoder fields[] = {
      {"priority",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(const std::int64_t priority, context.decoder.integer(value, "priority"));
         if (priority < std::numeric_limits<std::int32_t>::min() || priority > std::numeric_limits<std::int32_t>::max())
           return context.decoder.fail_at(value, fmt::format("priority is {}; expected a 32-bit number", priority));
         band.priority = static_cast<std::int32_t>(priority);
         return {};
       }},
      {"maxBytes", [&](const YamlNode& value) { return decode_quantity(value, "maxBytes", context, band.bytes_max); }},
      {"maxRequests",
       [&](const YamlNode& value) { return decode_quantity(value, "maxRequests", context, band.requests_max); }},
      {"fairnessPolicyRef",
       [&](const YamlNode& value) -> Result<void> {
         std::string name;
         LLMD_TRY_VOID(context.plugin_name(value, "fairnessPolicyRef", {PluginKind::kFairnessPolicy}, name));
         if (!name.empty()) band.fairness = name;
         return {};
       }},
      {"orderingPolicyRef",
       [&](const YamlNode& value) -> Result<void> {
         std::string name;
         LLMD_TRY_VOID(context.plugin_name(value, "orderingPolicyRef", {PluginKind::kOrderingPolicy}, name));
         if (!name.empty()) band.ordering = name;
         return {};
       }},
  };
  LLMD_TRY_VOID(context.decoder.object(node, "a priority band", fields));
  return band;
}

}  // namespace

Result<void> decode_flow_control(const YamlNode& node, DecodeContext& context, flow::FlowConfig& flow) {
  const auto band_field = [&](std::string_view name, std::optional<flow::BandConfig>& band) {
    return FieldDecoder{name, [&context, &band](const YamlNode& value) -> Result<void> {
                          LLMD_TRY(band, decode_band(value, context));
                          return {};
                        }};
  };
  const FieldDecoder fields[] = {
      {"maxBytes", [&](const YamlNode& value) { return decode_quantity(value, "maxBytes", context, flow.bytes_max); }},
      {"maxRequests",
       [&](const YamlNode& value) { return decode_quantity(value, "maxRequests", context, flow.requests_max); }},
      {"defaultRequestTTL",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(flow.ttl, decode_duration(value, "defaultRequestTTL", context));
         return {};
       }},
      {"noEndpointRequestTTL",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(flow.ttl_no_endpoint, decode_duration(value, "noEndpointRequestTTL", context));
         return {};
       }},
      band_field("defaultPriorityBand", flow.default_band),
      band_field("defaultNegativePriorityBand", flow.default_negative_band),
      {"priorityBands",
       [&](const YamlNode& value) {
         return context.decoder.sequence(value, "priorityBands", [&](const YamlNode& item) -> Result<void> {
           LLMD_TRY(flow::BandConfig band, decode_band(item, context));
           if (std::ranges::find(flow.bands, band.priority, &flow::BandConfig::priority) != flow.bands.end())
             return context.decoder.fail_at(item, fmt::format("two priority bands have priority {}", band.priority));
           flow.bands.push_back(std::move(band));
           return {};
         });
       }},
      {"usageLimitPolicyPluginRef",
       [&](const YamlNode& value) -> Result<void> {
         std::string name;
         LLMD_TRY_VOID(context.plugin_name(value, "usageLimitPolicyPluginRef", {PluginKind::kUsageLimitPolicy}, name));
         if (!name.empty()) flow.usage_limit = name;
         return {};
       }},
      {"saturationDetector",
       [&](const YamlNode& value) -> Result<void> {
         std::string name;
         LLMD_TRY_VOID(context.plugin_ref(value, "saturationDetector", {PluginKind::kSaturationDetector}, name));
         if (!name.empty()) flow.saturation_detector = name;
         return {};
       }},
      {"enableEviction",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(flow.eviction, context.decoder.flag(value, "enableEviction"));
         return {};
       }},
  };
  return context.decoder.object(node, "flowControl", fields);
}

}  // namespace llmd::config
