#include "apps/epp/protocol_headers.h"

#include <algorithm>
#include <array>

#include "net/http.h"

namespace llmd::epp {
namespace {

constexpr std::array<std::string_view, 17> kSystemOwned{
    "content-length",
    kDestinationHeader,
    "x-gateway-destination-endpoint-served",
    "x-gateway-destination-endpoint-subset",
    kDroppedReasonHeader,
    "x-llm-d-inference-objective",
    "x-gateway-inference-objective",
    "x-llm-d-inference-fairness-id",
    "x-gateway-inference-fairness-id",
    kModelRewriteHeaders[0],
    kModelRewriteHeaders[1],
    "x-llm-d-slo-ttft-ms",
    "x-slo-ttft-ms",
    "x-llm-d-slo-tpot-ms",
    "x-slo-tpot-ms",
    "x-llm-d-video-fps",
    "x-llm-d-video-duration-seconds",
};

constexpr std::array<std::string_view, 4> kSteering{kPrefillerHeader, kEncodersHeader, kDataParallelHeader,
                                                    kKvSourceHeader};

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool is_system_owned(std::string_view name) noexcept {
  return std::ranges::find(kSystemOwned, name) != kSystemOwned.end() || name == "x-llm-d-video-resolution";
}

bool steers_endpoints(std::string_view name) noexcept {
  return std::ranges::find(kSteering, name) != kSteering.end() || name == "x-envoy-original-dst-host" ||
         name.starts_with("x-llmd-");
}

bool prefers_if_available(std::string_view prefer) noexcept {
  while (!prefer.empty()) {
    std::string_view item = prefer.substr(0, prefer.find(','));
    prefer.remove_prefix(std::min(prefer.size(), item.size() + 1));
    if (net::equals_ignoring_case(trimmed(item.substr(0, item.find(';'))), "if-available")) return true;
  }
  return false;
}

}  // namespace llmd::epp
