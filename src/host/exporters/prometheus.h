#pragma once

#include <string>
#include <string_view>

#include "telemetry/metrics.h"

namespace llmd {

/// The Content-Type of the page.
inline constexpr std::string_view kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/// The registry as a page in Prometheus' text format: HELP and TYPE once a family, then its series. Escapes what stands
/// in help texts and label values. Thread-safe; the registry's refreshers run first. About 1 us a series.
[[nodiscard]] std::string render_prometheus(MetricsRegistry& registry);

}  // namespace llmd
