#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "llamacpp/model.h"

namespace llmd::llamacpp {

/// The model that tests run on: $LLMD_TEST_MODEL, what CMake found, or the default model in the cache. For tests only.
/// Throws one clear line if there is none: a test without its model fails.
inline std::string test_model_path() {
  if (const char* given = std::getenv("LLMD_TEST_MODEL")) return given;
#ifdef LLMD_TEST_MODEL_DEFAULT
  if (std::filesystem::exists(LLMD_TEST_MODEL_DEFAULT)) return LLMD_TEST_MODEL_DEFAULT;
#endif
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path folder =
      (cache != nullptr ? std::filesystem::path{cache}
                        : std::filesystem::path{home != nullptr ? home : "/root"} / ".cache") /
      "llmd" / "models";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{folder, ignored}) {
    if (entry.path().string().ends_with("SmolLM2-135M-Instruct.Q4_1.gguf")) return entry.path().string();
  }
  throw std::runtime_error{"no test model: set LLMD_TEST_MODEL to a GGUF, or run tools/fetch_model.sh"};
}

/// The test model, loaded once in a process.
inline std::shared_ptr<const Model> test_model() {
  static const std::shared_ptr<const Model> model = [] {
    auto loaded = Model::load({.path = test_model_path()});
    if (!loaded) throw std::runtime_error{loaded.error().to_string()};
    return *loaded;
  }();
  return model;
}

}  // namespace llmd::llamacpp
