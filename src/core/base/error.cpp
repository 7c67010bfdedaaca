#include "base/error.h"

#include <fmt/format.h>

namespace llmd {
namespace {

struct CodeInfo {
  std::string_view name;
  int status;
};

CodeInfo code_info(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidRequest: return {"invalid_request", 400};
    case ErrorCode::kInvalidJson: return {"invalid_json", 400};
    case ErrorCode::kModelNotFound: return {"model_not_found", 404};
    case ErrorCode::kContextLengthExceeded: return {"context_length_exceeded", 400};
    case ErrorCode::kInvalidApiKey: return {"invalid_api_key", 401};
    case ErrorCode::kNotFound: return {"not_found", 404};
    case ErrorCode::kMethodNotAllowed: return {"method_not_allowed", 405};
    case ErrorCode::kBodyTooLarge: return {"body_too_large", 413};
    case ErrorCode::kHeaderTooLarge: return {"header_too_large", 431};
    case ErrorCode::kUnsupported: return {"unsupported", 400};
    case ErrorCode::kRequestTimeout: return {"request_timeout", 408};
    case ErrorCode::kInvalidGrammar: return {"invalid_grammar", 400};
    case ErrorCode::kUnsupportedMediaType: return {"unsupported_media_type", 415};
    case ErrorCode::kOverloaded: return {"overloaded", 429};
    case ErrorCode::kNoEndpoint: return {"no_endpoint", 503};
    case ErrorCode::kShuttingDown: return {"shutting_down", 503};
    case ErrorCode::kUpstreamFailed: return {"upstream_failed", 503};
    case ErrorCode::kUpstreamTimeout: return {"upstream_timeout", 504};
    case ErrorCode::kCancelled: return {"cancelled", 499};
    case ErrorCode::kBudgetExhausted: return {"budget_exhausted", 503};
    case ErrorCode::kConfigInvalid: return {"config_invalid", 500};
    case ErrorCode::kFileNotFound: return {"file_not_found", 500};
    case ErrorCode::kFileInvalid: return {"file_invalid", 500};
    case ErrorCode::kOutOfMemory: return {"out_of_memory", 500};
    case ErrorCode::kAddressInUse: return {"address_in_use", 500};
    case ErrorCode::kAddressInvalid: return {"address_invalid", 500};
    case ErrorCode::kIo: return {"io", 500};
    case ErrorCode::kConnectionRefused: return {"connection_refused", 503};
    case ErrorCode::kConnectionClosed: return {"connection_closed", 503};
    case ErrorCode::kProtocol: return {"protocol", 502};
    case ErrorCode::kDeadlineExceeded: return {"deadline_exceeded", 504};
    case ErrorCode::kBlockMismatch: return {"block_mismatch", 500};
    case ErrorCode::kLeaseExpired: return {"lease_expired", 503};
    case ErrorCode::kPeerNotAllowed: return {"peer_not_allowed", 403};
    case ErrorCode::kInternal: return {"internal", 500};
  }
  return {"internal", 500};
}

}  // namespace

std::string_view error_code_name(ErrorCode code) noexcept { return code_info(code).name; }

int http_status(ErrorCode code) noexcept { return code_info(code).status; }

std::string Error::to_string() const {
  if (hint.empty()) return fmt::format("{}: {}", error_code_name(code), what);
  return fmt::format("{}: {} ({})", error_code_name(code), what, hint);
}

}  // namespace llmd
