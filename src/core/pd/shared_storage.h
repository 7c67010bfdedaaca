#pragma once

#include <string_view>

#include "pd/field_edit.h"

namespace llmd::pd {

/// Which part of its prompt a decode endpoint must hold already; with less it answers nothing but kCacheThreshold.
inline constexpr std::string_view kCacheThresholdField = "cache_hit_threshold";
/// The finish_reason by which it says so: prefill first.
inline constexpr std::string_view kCacheThreshold = "cache_threshold";

/// The first leg (scheduling spec 6.3, shared-storage): compute the prompt, which fills the store.
[[nodiscard]] FieldEdits shared_storage_prefill_edits(BodyKind kind);
/// The second: the client's request, to be computed whatever is cached.
[[nodiscard]] FieldEdits shared_storage_decode_edits();

}  // namespace llmd::pd
