#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "simulation/hardware_profile.h"

namespace llmd::config {

/// What a profile's file may say at most.
inline constexpr std::uint32_t kProfileTokensMax = 16'777'216;
inline constexpr std::uint32_t kProfileBlockTokensMax = 4'096;
inline constexpr std::uint32_t kProfileSlotsMax = 65'536;  // of a class
inline constexpr std::size_t kProfileClassesMax = 16;

/// A HardwareProfile from YAML or JSON with the fields of docs/configuration.md, strictly; what is left out is as in
/// the built-in one. `source` names the text in errors. Error kConfigInvalid with line and column.
[[nodiscard]] Result<simulation::HardwareProfile> parse_hardware_profile(std::string_view text,
                                                                         std::string_view source);

/// The same as YAML, every field. Pre: the name needs no escape.
[[nodiscard]] std::string hardware_profile_yaml(const simulation::HardwareProfile& profile);

/// What a --profile flag names: `gpu`, the built-in one, or a file of at most 64 KiB. Errors also: kFileNotFound,
/// kFileInvalid.
[[nodiscard]] Result<simulation::HardwareProfile> find_hardware_profile(const std::string& name);

}  // namespace llmd::config
