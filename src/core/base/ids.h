#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace llmd {

/// A strong integer id: two kinds of ids do not mix. 8 bytes, ordered, hashable.
template <class Tag>
struct Id {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(Id, Id) = default;
};

/// A token of a model's vocabulary. Negative is never valid.
using TokenId = std::int32_t;

/// A sequence inside one engine; unique over the engine's life.
using SequenceId = Id<struct SequenceTag>;

}  // namespace llmd

template <class Tag>
struct std::hash<llmd::Id<Tag>> {
  std::size_t operator()(llmd::Id<Tag> id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
