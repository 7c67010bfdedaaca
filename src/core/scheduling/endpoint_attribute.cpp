#include "scheduling/endpoint_attribute.h"

#include <fmt/format.h>

#include <cmath>

namespace llmd::scheduling {
namespace {

constexpr std::string_view kDefaultProducer = "core-metrics-extractor";
constexpr std::string_view kGpuUse = "GPUUtilization/dcgm-extractor";

}  // namespace

Result<EndpointAttribute> EndpointAttribute::named(std::string_view owner, std::string_view parameter,
                                                   std::string_view attribute,
                                                   const std::optional<std::string>& producer) {
  if (attribute.empty()) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} is empty", owner, parameter),
                "name what the data layer reads of the endpoints");
  }
  const std::size_t slash = attribute.rfind('/');
  if (!producer && slash != std::string_view::npos) {
    return fail(
        ErrorCode::kConfigInvalid, fmt::format("{}: {} is \"{}\" and producer is not set", owner, parameter, attribute),
        fmt::format("write {}: {} and producer: {}; with a \"/\" in its own name, set producer, which may be \"\"",
                    parameter, attribute.substr(0, slash), attribute.substr(slash + 1)));
  }
  std::string name{attribute};
  if (producer && !producer->empty() && *producer != kDefaultProducer)
    name = fmt::format("{}/{}", attribute, *producer);
  const std::optional<Signal> signal = name == kGpuUse ? std::optional{Signal::kGpuUse} : std::nullopt;
  return EndpointAttribute{std::move(name), signal};
}

std::optional<float> named_attribute(const PluginInput& input, EndpointIndex endpoint, std::string_view name) noexcept {
  const EndpointSignals* signals = input.endpoints[endpoint].signals.get();
  const Reading<float>* reading = signals == nullptr ? nullptr : signals->find(name);
  const std::optional<float> value = reading == nullptr ? std::nullopt : input.fresh(*reading);
  return value && std::isnan(*value) ? std::nullopt : value;
}

std::optional<float> EndpointAttribute::read(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  const std::optional<float> value = named_attribute(input, endpoint, name_);
  return value || !signal_ ? value : input.signal(endpoint, *signal_);
}

}  // namespace llmd::scheduling
