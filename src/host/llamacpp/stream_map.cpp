#include "llamacpp/stream_map.h"

#include <algorithm>
#include <numeric>

namespace llmd::llamacpp {
namespace {

struct Run {
  std::uint32_t first = 0;
  std::uint32_t size = 0;
};

std::vector<Run> runs_of(const std::vector<std::uint32_t>& sorted) {
  std::vector<Run> runs;
  for (const std::uint32_t stream : sorted) {
    if (!runs.empty() && runs.back().first + runs.back().size == stream) {
      ++runs.back().size;
    } else {
      runs.push_back({stream, 1});
    }
  }
  return runs;
}

}  // namespace

StreamMap::StreamMap(std::uint32_t slots) : streams_(slots), slots_(slots) {
  std::iota(streams_.begin(), streams_.end(), 0U);
  std::iota(slots_.begin(), slots_.end(), 0U);
}

std::vector<StreamMap::Move> StreamMap::join_runs(std::span<const std::uint32_t> decoding,
                                                  const std::vector<bool>& occupied, std::size_t moves_max) const {
  std::vector<std::uint32_t> sorted;
  for (const std::uint32_t slot : decoding) sorted.push_back(streams_[slot]);
  std::sort(sorted.begin(), sorted.end());
  const std::vector<Run> runs = runs_of(sorted);
  if (runs.size() < 2) return {};
  const auto shortest = std::min_element(runs.begin(), runs.end(), [](Run a, Run b) { return a.size < b.size; });
  if (shortest->size > moves_max) return {};
  const auto free = [&](std::uint32_t stream) { return !occupied[slots_[stream]]; };
  for (const Run& other : runs) {
    if (other.first == shortest->first) continue;
    std::vector<Move> moves;
    const auto take = [&](std::uint32_t to) {
      moves.push_back({.slot = slots_[shortest->first + moves.size()], .to = to});
    };
    for (std::uint32_t to = other.first + other.size; moves.size() < shortest->size && to < slots_.size() && free(to);
         ++to) {
      take(to);
    }
    for (std::uint32_t before = other.first; moves.size() < shortest->size && before > 0 && free(before - 1);
         --before) {
      take(before - 1);
    }
    if (moves.size() == shortest->size) return moves;
  }
  return {};
}

void StreamMap::moved(const Move& move) noexcept {
  const std::uint32_t from = streams_[move.slot];
  const std::uint32_t other = slots_[move.to];
  std::swap(streams_[move.slot], streams_[other]);
  slots_[move.to] = move.slot;
  slots_[from] = other;
}

}  // namespace llmd::llamacpp
