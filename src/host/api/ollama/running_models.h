#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::ollama {

inline constexpr std::size_t kRunningModelsMax = 64;

/// A model that an Ollama server has in memory.
struct RunningModel {
  std::string name;                  // "llama3.2:3b"
  std::uint64_t bytes = 0;           // in all
  std::uint64_t gpu_bytes = 0;       // of them in GPU memory
  std::uint32_t context_tokens = 0;  // 0: not told (before 0.11)
};

/// Reads the answer to GET /api/ps; of more than kRunningModelsMax models the first count. Unknown fields are ignored.
/// Errors: kInvalidJson, kProtocol (no `models` list, or a model without `name`).
[[nodiscard]] Result<std::vector<RunningModel>> read_running_models(std::string_view json);

}  // namespace llmd::ollama
