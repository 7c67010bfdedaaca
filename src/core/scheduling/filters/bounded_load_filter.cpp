#include "scheduling/filters/bounded_load_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "freeRequests",
                  .type = ParameterType::kInteger,
                  .number = 8,
                  .min = 1,
                  .max = 1'000'000,
                  .help = "requests in flight below which an endpoint is always kept; about what it runs at once "
                          "without getting slow. Higher: prompts that share a prefix stay together longer"},
    ParameterSpec{.name = "maxMeanMultiple",
                  .type = ParameterType::kNumber,
                  .number = 1.5,
                  .min = 1,
                  .max = 1'000,
                  .help = "an endpoint with more is kept while it is below so many times the candidates' mean"},
};

}  // namespace

constinit const PluginSpec BoundedLoadFilter::kSpec{
    .type = "bounded-load-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints that are not much busier than others, so that a burst on one prefix spreads as load asks",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const BoundedLoadFilter>(
          Options{.free_requests = static_cast<std::uint32_t>(parameters.integer("freeRequests")),
                  .mean_multiple_max = static_cast<float>(parameters.number("maxMeanMultiple"))});
    },
    .inputs = "requests in flight",
    .ours = true,
};

std::size_t BoundedLoadFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  std::uint64_t total = 0;
  for (const EndpointIndex i : candidates) total += input.inflight_requests(i);
  const float limit = options_.mean_multiple_max * static_cast<float>(total) / static_cast<float>(candidates.size());
  return keep_if_any(candidates, [&](EndpointIndex i) {
    const std::uint32_t requests = input.inflight_requests(i);
    return requests < options_.free_requests || static_cast<float>(requests) < limit;
  });
}

std::string BoundedLoadFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  return fmt::format("{} requests in flight; wanted fewer than {} or than {} times the mean",
                     input.inflight_requests(endpoint), options_.free_requests, options_.mean_multiple_max);
}

}  // namespace llmd::scheduling
