#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llmd::llamacpp {

/// Which KV stream each slot of a context has. llama.cpp computes only neighbouring streams in one pass, and a pass
/// reads all weights: sequences that decode in streams 0, 4 and 9 cost three. Moving two of them, once, costs less than
/// one step. Pure: says what to move; the context copies.
class StreamMap {
 public:
  explicit StreamMap(std::uint32_t slots);

  [[nodiscard]] std::uint32_t stream_of(std::uint32_t slot) const noexcept { return streams_[slot]; }

  struct Move {
    std::uint32_t slot = 0;
    std::uint32_t to = 0;  // stream
  };
  /// Moves that join the shortest run of neighbouring streams of `decoding` slots to another run; at most `moves_max`,
  /// empty if no whole run can be joined within that. `occupied`: slots that hold KV, whether they decode or not.
  [[nodiscard]] std::vector<Move> join_runs(std::span<const std::uint32_t> decoding, const std::vector<bool>& occupied,
                                            std::size_t moves_max) const;
  /// The KV of the slot lies there now. Pre: the slot whose stream that was holds none.
  void moved(const Move& move) noexcept;

 private:
  std::vector<std::uint32_t> streams_;  // of a slot
  std::vector<std::uint32_t> slots_;    // of a stream
};

}  // namespace llmd::llamacpp
