#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace llmd::sidecar {

/// An error in the shape of llm-d's sidecar and of vLLM: {"object":"error","message","type","param":"","code"}.
[[nodiscard]] net::Response error_answer(int status, std::string_view message);

}  // namespace llmd::sidecar
