#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "simulation/policy.h"

namespace llmd::simulation {

/// The policies that have a name, with their default options. `seed` is of hash tables; chance in choices comes from
/// PolicyInput::rng. Null: no such name.
[[nodiscard]] std::unique_ptr<Policy> make_policy(std::string_view name, std::uint64_t seed);

/// All names that make_policy() knows.
[[nodiscard]] std::span<const std::string_view> policy_names() noexcept;

}  // namespace llmd::simulation
