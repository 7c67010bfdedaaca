#include "pd/shared_storage.h"

namespace llmd::pd {

FieldEdits shared_storage_prefill_edits(BodyKind kind) {
  FieldEdits edits = one_token_edits(kind);
  // llm-d's sidecar names both lengths always.
  for (FieldEdit& edit : edits) {
    if (edit.path == "max_completion_tokens") edit.when = FieldEdit::When::kAlways;
  }
  edits.push_back(set_field(kCacheThresholdField, "0"));
  return edits;
}

FieldEdits shared_storage_decode_edits() { return {set_field(kCacheThresholdField, "0")}; }

}  // namespace llmd::pd
