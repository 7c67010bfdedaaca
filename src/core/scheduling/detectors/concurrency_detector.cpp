#include "scheduling/detectors/concurrency_detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

using Mode = ConcurrencyDetector::Mode;

constexpr std::array<std::string_view, 3> kModes{"requests", "tokens", "hybrid"};  // as Mode counts
constexpr std::array kParameters{
    ParameterSpec{.name = "maxConcurrency",
                  .type = ParameterType::kInteger,
                  .number = 100,
                  .min = 1,
                  .help = "requests in flight at which an endpoint is full"},
    ParameterSpec{.name = "headroom",
                  .type = ParameterType::kNumber,
                  .max = 1'000,
                  .help = "share beyond that which the filter lets a single endpoint have"},
    ParameterSpec{.name = "concurrencyMode",
                  .type = ParameterType::kText,
                  .text = kModes[0],
                  .choices = kModes,
                  .help = "what is counted; hybrid: the fuller of requests and tokens"},
    ParameterSpec{.name = "maxTokenConcurrency",
                  .type = ParameterType::kInteger,
                  .number = 1'000'000,
                  .min = 1,
                  .help = "tokens in flight at which an endpoint is full"},
    ParameterSpec{.name = "inFlightLoadProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer of what is in flight; the pool always counts it",
                  .support = Support::kNoEffect,
                  .refers = PluginKind::kDataProducer},
};

std::uint64_t limit_of(std::uint64_t full, double headroom) noexcept {
  return static_cast<std::uint64_t>(static_cast<double>(full) * (1 + headroom));
}

double share(std::uint64_t inflight, std::uint64_t full) noexcept {
  return static_cast<double>(inflight) / static_cast<double>(full);
}

}  // namespace

constinit const PluginSpec ConcurrencyDetector::kSpec{
    .type = "concurrency-detector",
    .kind = PluginKind::kSaturationDetector,
    .help = "saturation by what is in flight from here; as a filter it drops full endpoints",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const auto mode = std::ranges::find(kModes, parameters.text("concurrencyMode")) - kModes.begin();
      return std::make_unique<const ConcurrencyDetector>(
          Options{.mode = static_cast<Mode>(mode),
                  .requests_full = static_cast<std::uint64_t>(parameters.integer("maxConcurrency")),
                  .tokens_full = static_cast<std::uint64_t>(parameters.integer("maxTokenConcurrency")),
                  .headroom = parameters.number("headroom")});
    },
    .inputs = "requests and tokens in flight",
};

ConcurrencyDetector::ConcurrencyDetector(Options options) noexcept
    : options_{options},
      requests_limit_{limit_of(options.requests_full, options.headroom)},
      tokens_limit_{limit_of(options.tokens_full, options.headroom)} {}

float ConcurrencyDetector::saturation(const PluginInput& input,
                                      std::span<const EndpointIndex> endpoints) const noexcept {
  if (endpoints.empty()) return 1;
  double sum = 0;
  for (const EndpointIndex i : endpoints) {
    const double requests = share(input.inflight_requests(i), options_.requests_full);
    const double tokens = share(input.inflight_tokens(i), options_.tokens_full);
    switch (options_.mode) {
      case Mode::kRequests: sum += requests; break;
      case Mode::kTokens: sum += tokens; break;
      case Mode::kHybrid: sum += std::max(requests, tokens); break;
    }
  }
  // The capacity is the same everywhere, so the mean of the shares is the share of the whole.
  return static_cast<float>(sum / static_cast<double>(endpoints.size()));
}

bool ConcurrencyDetector::requests_fit(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  return options_.mode == Mode::kTokens || input.inflight_requests(endpoint) < requests_limit_;
}

bool ConcurrencyDetector::tokens_fit(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  return options_.mode == Mode::kRequests || input.inflight_tokens(endpoint) < tokens_limit_;
}

std::size_t ConcurrencyDetector::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return requests_fit(input, i) && tokens_fit(input, i); });
}

std::string ConcurrencyDetector::reason(const PluginInput& input, EndpointIndex endpoint) const {
  if (!requests_fit(input, endpoint)) {
    return fmt::format("has {} requests in flight; wanted less than {}", input.inflight_requests(endpoint),
                       requests_limit_);
  }
  return fmt::format("has {} tokens in flight; wanted less than {}", input.inflight_tokens(endpoint), tokens_limit_);
}

}  // namespace llmd::scheduling
