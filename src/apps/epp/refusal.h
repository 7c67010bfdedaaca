#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::epp {

/// Why a request goes nowhere, in llm-d's terms (llm-d-router: pkg/common/error).
struct Refusal {
  std::string_view code;            // "BadRequest": the error_code of metrics; static text
  int status = 500;                 // that the client sees
  std::string message;              // behind "inference error: CODE - "
  std::string dropped_reason{};     // x-llm-d-request-dropped-reason; empty: not sent
  std::uint32_t retry_after_s = 0;  // 0: not sent

  [[nodiscard]] std::string body() const;
};

/// The refusal of this status.
[[nodiscard]] Refusal make_refusal(int status, std::string message);
/// An error of ours, with llm-d's words where llm-d has some.
[[nodiscard]] Refusal refusal_of(const Error& error);

}  // namespace llmd::epp
