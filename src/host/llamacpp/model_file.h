#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::llamacpp {

inline constexpr std::string_view kDefaultModel = "SmolLM2-135M-Instruct";

/// Where models are kept: $XDG_CACHE_HOME/llmd/models, or ~/.cache/llmd/models. tools/fetch_model.sh puts them there.
[[nodiscard]] std::string model_folder();

struct ModelFile {
  std::string path;
  std::string name;  // what clients call it
};

/// The name of a model file: without folder, the digits that the cache puts in front, the quantisation and ".gguf".
[[nodiscard]] std::string model_name(std::string_view path);

/// Finds what --model means: a file, or the name (with or without quantisation) of one in `folder`; empty:
/// kDefaultModel. Error kFileNotFound says what was looked for, where, and how to get it.
[[nodiscard]] Result<ModelFile> find_model(std::string_view wanted, const std::string& folder);

}  // namespace llmd::llamacpp
