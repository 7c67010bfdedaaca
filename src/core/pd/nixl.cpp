#include "pd/nixl.h"

#include <fmt/format.h>

#include <string>

namespace llmd::pd {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

FieldEdits every_length_edits(BodyKind kind) {
  FieldEdits edits{set_field("stream", "false"), remove_field("stream_options")};
  switch (kind) {
    case BodyKind::kChatOrCompletion:
      for (const std::string_view field : {"max_tokens", "max_completion_tokens", "min_tokens"})
        edits.push_back(set_field(field, "1"));
      break;
    case BodyKind::kResponses: edits.push_back(set_field("max_output_tokens", "1")); break;
    case BodyKind::kGenerate:
      for (const std::string_view field : {"sampling_params.max_tokens", "sampling_params.min_tokens"})
        edits.push_back(set_field(field, "1"));
      break;
  }
  return edits;
}

FieldEdits nixl_prefill_edits(BodyKind kind, const KvSource* source) {
  const std::string pull = source != nullptr ? fmt::format(",{}", kv_source_member(*source)) : std::string{};
  const std::string params =
      fmt::format(R"({{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,)"
                  R"("remote_block_ids":null,"remote_host":null,"remote_port":null{}}})",
                  pull);
  FieldEdits edits = every_length_edits(kind);
  edits.insert(edits.begin(), set_field(kTransferField, params));
  return edits;
}

Result<FieldEdits> nixl_decode_edits(std::string_view raw_params) {
  const std::string_view params = trimmed(raw_params);
  if (params.size() > kTransferParamsMax) {
    return fail(ErrorCode::kProtocol, "kv_transfer_params of the prefill answer has more than 1 MiB",
                "check the prefill endpoint's connector");
  }
  if (params.empty() || params == "null") return FieldEdits{set_field(kTransferField, "null")};
  if (params.front() != '{' || params.back() != '}') {
    return fail(ErrorCode::kProtocol, "kv_transfer_params of the prefill answer is neither an object nor null",
                "check the prefill endpoint's connector");
  }
  return FieldEdits{set_field(kTransferField, params)};
}

}  // namespace llmd::pd
