#include "tracing/tracing_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/percent_decoding.h"
#include "net/certificate.h"

namespace llmd::tracing {
namespace {

using Environment = std::function<std::optional<std::string>(const char*)>;

constexpr std::string_view kLocalCollector = "http://localhost:4317";

/// The variable for traces, or else the one for all signals; with the name of the one that is set.
std::pair<std::optional<std::string>, std::string> exporter_variable(const Environment& environment,
                                                                     std::string_view name) {
  std::string of_traces = fmt::format("OTEL_EXPORTER_OTLP_TRACES_{}", name);
  if (auto value = environment(of_traces.c_str()); value && !value->empty()) return {std::move(value), of_traces};
  std::string of_all = fmt::format("OTEL_EXPORTER_OTLP_{}", name);
  auto value = environment(of_all.c_str());
  if (value && value->empty()) value.reset();
  return {std::move(value), of_all};
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

/// "a=1,b=2", with %XX in values (W3C Baggage).
std::vector<std::pair<std::string, std::string>> pairs_of(std::string_view text, std::string_view name,
                                                          std::vector<std::string>& warnings) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view entry = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(text.size(), comma + 1));
    const std::size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      if (!entry.empty()) warnings.push_back(fmt::format("{}: \"{}\" is not key=value", name, entry.substr(0, 100)));
      continue;
    }
    pairs.emplace_back(trimmed(entry.substr(0, equals)), percent_decoded(trimmed(entry.substr(equals + 1))));
  }
  return pairs;
}

/// Without a scheme it is TLS unless the environment says otherwise, as gRPC's exporters have it.
Result<net::Address> endpoint_of(const Environment& environment) {
  auto [text, name] = exporter_variable(environment, "ENDPOINT");
  if (!text) text = kLocalCollector;
  if (text->find("://") == std::string::npos) {
    const auto insecure = exporter_variable(environment, "INSECURE").first.value_or("false");
    *text = (insecure == "true" ? "http://" : "https://") + *text;
  }
  if (const std::size_t path = text->find('/', text->find("://") + 3); path != std::string::npos) text->resize(path);
  auto address = net::Address::parse_url(*text);
  if (!address) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {}", name, address.error().what),
                "http://host:4317, https://host:4317 or host:4317");
  }
  return address;
}

Result<void> read_exporter(const Environment& environment, TracingOptions& into, std::vector<std::string>& warnings) {
  LLMD_TRY(into.endpoint, endpoint_of(environment));
  if (into.endpoint.tls) {
    net::TlsClientOptions tls;
    if (const auto [file, name] = exporter_variable(environment, "CERTIFICATE"); file) {
      LLMD_TRY(tls.ca, net::read_pem_file(*file));
    }
    LLMD_TRY(into.tls, net::TlsClient::make(std::move(tls)));
  }
  if (const auto [text, name] = exporter_variable(environment, "HEADERS"); text) {
    into.headers = pairs_of(*text, name, warnings);
    for (auto& [key, value] : into.headers) {
      std::ranges::transform(key, key.begin(),
                             [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    }
  }
  if (const auto [text, name] = exporter_variable(environment, "TIMEOUT"); text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc{} && end == text->data() + text->size() && value > 0) {
      into.timeout = milliseconds{value};
    } else {
      warnings.push_back(fmt::format("{}: \"{}\" is no number of milliseconds", name, text->substr(0, 100)));
    }
  }
  return {};
}

void read_sampler(const Environment& environment, TracingOptions& into, std::vector<std::string>& warnings) {
  constexpr std::string_view kSampler = "parentbased_traceidratio";
  if (const auto name = environment("OTEL_TRACES_SAMPLER"); name && !name->empty() && *name != kSampler)
    warnings.push_back(fmt::format("OTEL_TRACES_SAMPLER: {} is not known, it is {}", name->substr(0, 100), kSampler));
  const auto text = environment("OTEL_TRACES_SAMPLER_ARG");
  if (!text || text->empty()) return;
  double ratio = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), ratio);
  if (error == std::errc{} && end == text->data() + text->size() && ratio >= 0 && ratio <= 1) {
    into.ratio = ratio;
  } else {
    warnings.push_back(fmt::format("OTEL_TRACES_SAMPLER_ARG: \"{}\" is no number from 0 to 1", text->substr(0, 100)));
  }
}

}  // namespace

Result<TracingOptions> tracing_options(const Environment& environment, std::string_view service,
                                       std::vector<std::string>& warnings) {
  TracingOptions options;
  const auto exporter = environment("OTEL_TRACES_EXPORTER").value_or("");
  const bool has_endpoint = exporter_variable(environment, "ENDPOINT").first.has_value();
  if (exporter == "otlp" || (exporter.empty() && has_endpoint)) {
    options.exporter = Exporter::kOtlp;
  } else if (exporter == "console") {
    options.exporter = Exporter::kConsole;
  } else if (!exporter.empty() && exporter != "none") {
    warnings.push_back(fmt::format("OTEL_TRACES_EXPORTER: {} is not otlp, console or none", exporter.substr(0, 100)));
  }
  if (options.exporter == Exporter::kNone) return options;
  if (options.exporter == Exporter::kOtlp) LLMD_TRY_VOID(read_exporter(environment, options, warnings));
  read_sampler(environment, options, warnings);
  if (const auto text = environment("OTEL_RESOURCE_ATTRIBUTES"))
    options.resource = pairs_of(*text, "OTEL_RESOURCE_ATTRIBUTES", warnings);
  const auto named = environment("OTEL_SERVICE_NAME").value_or("");
  const auto known = std::ranges::find(options.resource, "service.name", &std::pair<std::string, std::string>::first);
  if (!named.empty() || known == options.resource.end()) {
    std::erase_if(options.resource, [](const auto& each) { return each.first == "service.name"; });
    options.resource.emplace_back("service.name", named.empty() ? std::string{service} : named);
  }
  return options;
}

}  // namespace llmd::tracing
