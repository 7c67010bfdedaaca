#include "dispatch/legs.h"

#include "api/openai/body_edits.h"
#include "pd/nixl.h"

namespace llmd::dispatch {

bool asks_for_usage(std::string_view path) noexcept {
  return path == "/v1/chat/completions" || path == "/v1/completions";
}

bool generates(std::string_view path) noexcept {
  return asks_for_usage(path) || path == "/v1/messages" || path == "/v1/responses";
}

Result<std::string> decode_body(std::string_view body, std::string prefill_answer) {
  const auto params = openai::raw_member(prefill_answer, pd::kTransferField);
  if (!params) return fail(ErrorCode::kProtocol, "the prefill endpoint's answer is no JSON object");
  LLMD_TRY(const pd::FieldEdits edits, pd::nixl_decode_edits(params->value_or(std::string_view{})));
  return openai::edited(body, edits);
}

}  // namespace llmd::dispatch
