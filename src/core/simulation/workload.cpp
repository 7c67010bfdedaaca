#include "simulation/workload.h"

#include "base/rng.h"

namespace llmd::simulation {

std::uint64_t chain_block(std::uint64_t parent, std::uint64_t content) noexcept {
  Rng mix{parent * 0x9e3779b97f4a7c15ULL + content};
  const std::uint64_t name = mix.next() ^ mix.next();
  return name == 0 ? 1 : name;
}

}  // namespace llmd::simulation
