#include "simulation/policies/session_hash_policy.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "base/rng.h"

namespace llmd::simulation {
namespace {

std::uint64_t key_of(const PolicyInput& input) {
  return input.session != 0 ? Rng{input.session}.next() : Rng{~input.id}.next();
}

}  // namespace

void SessionHashPolicy::make_ring(const EndpointSnapshot& snapshot) {
  ring_.clear();
  ring_.reserve(snapshot.endpoints.size() * options_.ring_points);
  for (std::uint32_t place = 0; place < snapshot.endpoints.size(); ++place) {
    // From the name, so that an endpoint keeps its points whoever comes and goes.
    Rng points{xxh64(snapshot.endpoints[place].endpoint->name)};
    for (std::uint32_t i = 0; i < options_.ring_points; ++i) ring_.push_back({points.next(), place});
  }
  std::ranges::sort(
      ring_, [](const Point& a, const Point& b) { return a.hash != b.hash ? a.hash < b.hash : a.place < b.place; });
}

std::uint64_t SessionHashPolicy::room(const PolicyInput& input) {
  const auto places = candidates_.of(input.snapshot);
  if (places.empty()) return 0;
  std::uint64_t inflight = 1;
  for (const std::uint32_t place : places) inflight += inflight_requests(input, place);
  const double mean = static_cast<double>(inflight) / static_cast<double>(places.size());
  return static_cast<std::uint64_t>(std::ceil(options_.load_factor * mean));
}

PolicyChoice SessionHashPolicy::choose(const PolicyInput& input) {
  if (places_.update(input.snapshot)) make_ring(input.snapshot);
  const std::uint64_t allowed = room(input);
  if (allowed == 0) return {};
  const auto start = std::ranges::lower_bound(ring_, key_of(input), {}, &Point::hash);
  const auto first = static_cast<std::size_t>(start - ring_.begin());
  for (std::size_t step = 0; step < ring_.size(); ++step) {
    const std::uint32_t place = ring_[(first + step) % ring_.size()].place;
    if (takes_requests(input.snapshot.endpoints[place]) && inflight_requests(input, place) < allowed)
      return {.decode = place};
  }
  return {};  // not reached: with a factor of at least 1 someone has no more than the mean
}

}  // namespace llmd::simulation
