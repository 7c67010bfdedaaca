#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::config {

/// A model that `llmd up` serves, as it is written.
struct ModelEntry {
  std::string name;                    // what clients call it; unique
  std::string model;                   // a GGUF file or the name of a fetched one
  std::string topology = "unified:1";  // workers by role, unchecked
  std::uint32_t threads = 0;           // of each worker; 0: its share of the cores
  int line = 0;
};

inline constexpr std::size_t kModelsMax = 16;

/// What `llmd up --models` reads: `models: [{name, model, workers | topology, threads}]`. The path of a file is
/// relative to the folder of this one. Error kConfigInvalid begins with "source:line".
[[nodiscard]] Result<std::vector<ModelEntry>> parse_models_file(std::string_view text, std::string_view source);

}  // namespace llmd::config
