#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "net/address.h"
#include "net/tls_client.h"

namespace llmd::tracing {

enum class Exporter : std::uint8_t { kNone, kConsole, kOtlp };

/// Where spans go, as OpenTelemetry's environment variables say.
struct TracingOptions {
  Exporter exporter = Exporter::kNone;
  net::Address endpoint{};                                     // of the collector, gRPC
  std::shared_ptr<const net::TlsClient> tls{};                 // if that has TLS
  std::vector<std::pair<std::string, std::string>> headers{};  // metadata of each export
  milliseconds timeout{10'000};                                // of an export
  double ratio = 0.1;                                          // of traces that begin here
  std::vector<std::pair<std::string, std::string>> resource{};
};

/// Reads OTEL_TRACES_EXPORTER (otlp, console, none; without it otlp if an endpoint is named, else none),
/// OTEL_EXPORTER_OTLP_[TRACES_]{ENDPOINT,INSECURE,CERTIFICATE,HEADERS,TIMEOUT}, OTEL_TRACES_SAMPLER_ARG,
/// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES (opentelemetry.io/docs/specs/otel/protocol/exporter). The sampler is
/// parentbased_traceidratio. `warnings` gets what was not understood and is left out. Errors: kConfigInvalid (an
/// endpoint or certificate that is none; names the variable), kFileNotFound, kFileInvalid.
[[nodiscard]] Result<TracingOptions> tracing_options(
    const std::function<std::optional<std::string>(const char* name)>& environment, std::string_view service,
    std::vector<std::string>& warnings);

}  // namespace llmd::tracing
