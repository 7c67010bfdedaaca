#pragma once

#include <string>

namespace llmd::llamacpp {

/// Starts llama.cpp once in a process: backends, and its log and that of its `common` sent to llmd::log at debug.
/// Every entry point of this module calls it. Thread-safe.
void ensure_backend();

/// The last error line that llama.cpp logged on this thread since the last call; empty if none. It explains a null
/// result.
[[nodiscard]] std::string take_last_error();

}  // namespace llmd::llamacpp
