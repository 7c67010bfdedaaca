#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::rpc {

/// gRPC's canonical codes (grpc/grpc, doc/statuscodes.md).
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kUnauthenticated = 16,
};

/// How a call ended.
struct Status {
  StatusCode code = StatusCode::kOk;
  std::string message{};

  [[nodiscard]] bool ok() const noexcept { return code == StatusCode::kOk; }
};

/// The nearest code, with the error's text.
[[nodiscard]] Status status_of(const Error& error);

/// A message as the trailing field grpc-message has it: what is not printable ASCII, and '%', as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view message);

}  // namespace llmd::rpc
