#include "pd/field_edit.h"

#include <cstddef>

namespace llmd::pd {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

BodyKind body_kind(std::string_view path) noexcept {
  if (path == "/v1/responses") return BodyKind::kResponses;
  if (path == "/inference/v1/generate") return BodyKind::kGenerate;
  return BodyKind::kChatOrCompletion;
}

FieldEdit set_field(std::string_view path, std::string_view raw_json, FieldEdit::When when) {
  return {.path = std::string{path}, .raw_json = std::string{raw_json}, .when = when};
}

FieldEdit remove_field(std::string_view path) { return {.path = std::string{path}, .raw_json = {}}; }

std::string quoted(std::string_view text) {
  std::string out(1, '"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHexDigits[byte >> 4U];
      out += kHexDigits[byte & 0xfU];
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out(1, '[');
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += quoted(text);
  }
  out += ']';
  return out;
}

FieldEdits one_token_edits(BodyKind kind) {
  constexpr auto kIfPresent = FieldEdit::When::kIfPresent;
  FieldEdits edits;
  switch (kind) {
    case BodyKind::kChatOrCompletion:
      edits.push_back(set_field("max_tokens", "1"));
      edits.push_back(set_field("max_completion_tokens", "1", kIfPresent));
      edits.push_back(set_field("min_tokens", "1", kIfPresent));
      break;
    case BodyKind::kResponses: edits.push_back(set_field("max_output_tokens", "1")); break;
    case BodyKind::kGenerate:
      edits.push_back(set_field("sampling_params.max_tokens", "1"));
      edits.push_back(set_field("sampling_params.min_tokens", "1", kIfPresent));
      break;
  }
  edits.push_back(set_field("stream", "false"));
  edits.push_back(remove_field("stream_options"));
  return edits;
}

}  // namespace llmd::pd
