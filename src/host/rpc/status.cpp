#include "rpc/status.h"

#include <fmt/format.h>

#include <iterator>

namespace llmd::rpc {

Status status_of(const Error& error) {
  const auto code = [&] {
    switch (error.code) {
      case ErrorCode::kInvalidRequest:
      case ErrorCode::kInvalidJson: return StatusCode::kInvalidArgument;
      case ErrorCode::kNotFound:
      case ErrorCode::kModelNotFound: return StatusCode::kNotFound;
      case ErrorCode::kUnsupported:
      case ErrorCode::kMethodNotAllowed: return StatusCode::kUnimplemented;
      case ErrorCode::kBodyTooLarge:
      case ErrorCode::kOverloaded:
      case ErrorCode::kBudgetExhausted: return StatusCode::kResourceExhausted;
      case ErrorCode::kNoEndpoint:
      case ErrorCode::kShuttingDown: return StatusCode::kUnavailable;
      case ErrorCode::kCancelled:
      case ErrorCode::kConnectionClosed: return StatusCode::kCancelled;
      case ErrorCode::kRequestTimeout:
      case ErrorCode::kDeadlineExceeded: return StatusCode::kDeadlineExceeded;
      default: return StatusCode::kInternal;
    }
  }();
  return {.code = code, .message = error.what};
}

std::string percent_encoded(std::string_view message) {
  std::string text;
  text.reserve(message.size());
  for (const char c : message) {
    if (c >= ' ' && c <= '~' && c != '%') {
      text += c;
    } else {
      fmt::format_to(std::back_inserter(text), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace llmd::rpc
