#include "pd/encode.h"

#include <string>

#include "pd/shared_storage.h"

namespace llmd::pd {

FieldEdits encode_edits(std::string_view raw_item) {
  FieldEdits edits = one_token_edits(BodyKind::kChatOrCompletion);
  std::string messages = R"([{"role":"user","content":[)";
  messages += raw_item;
  messages += "]}]";
  edits.push_back({.path = "messages", .raw_json = std::move(messages)});
  return edits;
}

FieldEdits encoded_edits(std::string_view raw_params) {
  FieldEdits edits{set_field(kCacheThresholdField, "0")};
  if (!raw_params.empty()) edits.push_back(set_field(kEncoderField, raw_params));
  return edits;
}

}  // namespace llmd::pd
