#include "scheduling/filters/header_based_testing_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kHeader = "test-epp-endpoint-selection";
constexpr int kEntriesMax = 64;

struct HostPort {
  std::string_view host;
  std::string_view port{};
};

std::string_view without_blanks(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// "host", "host:port", "[host]" or "[host]:port". More than one colon outside brackets: an IPv6 address.
HostPort split(std::string_view text) noexcept {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return {.host = text.substr(1)};
    const std::string_view rest = text.substr(end + 1);
    return {.host = text.substr(1, end - 1), .port = rest.starts_with(':') ? rest.substr(1) : std::string_view{}};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return {.host = text};
  return {.host = text.substr(0, colon), .port = text.substr(colon + 1)};
}

/// Of http://host:port; no host for anything else.
HostPort place_of(const Endpoint& endpoint) noexcept {
  std::string_view url = endpoint.url;
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  return split(url.substr(0, url.find('/')));
}

bool lists(std::string_view header, const HostPort& place) noexcept {
  for (int entry = 0; entry < kEntriesMax; ++entry) {
    const std::size_t comma = header.find(',');
    const HostPort wanted = split(without_blanks(header.substr(0, comma)));
    if (!wanted.host.empty() && wanted.host == place.host && (wanted.port.empty() || wanted.port == place.port))
      return true;
    if (comma == std::string_view::npos) return false;
    header.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace

constinit const PluginSpec HeaderBasedTestingFilter::kSpec{
    .type = "header-based-testing-filter",
    .kind = PluginKind::kFilter,
    .help = "for tests: keeps the endpoints that a request header lists",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const HeaderBasedTestingFilter>();
    },
    .inputs = "address; header test-epp-endpoint-selection",
};

std::size_t HeaderBasedTestingFilter::filter(const PluginInput& input,
                                             std::span<EndpointIndex> candidates) const noexcept {
  const std::string_view header = input.request.header(kHeader);
  return keep_if(candidates, [&](EndpointIndex i) { return lists(header, place_of(*input.endpoints[i].endpoint)); });
}

std::string HeaderBasedTestingFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const HostPort place = place_of(*input.endpoints[endpoint].endpoint);
  return fmt::format("is {}:{}; wanted one that {} lists", place.host, place.port, kHeader);
}

void HeaderBasedTestingFilter::headers_read(std::vector<std::string>& names) const { names.emplace_back(kHeader); }

}  // namespace llmd::scheduling
