#pragma once

#include <string_view>

#include "pd/field_edit.h"

namespace llmd::pd {

/// The encode stage (scheduling spec 6.4): a request of its own for each image, video or sound, to an encode endpoint:
/// the client's fields, one message with `raw_item` alone, one token.
[[nodiscard]] FieldEdits encode_edits(std::string_view raw_item);

/// What follows it: the prompt is computed whatever is cached, with what the encode endpoints said of where their
/// results lie. `raw_params` is the object that their answers come to; empty: they said nothing, or share a store.
[[nodiscard]] FieldEdits encoded_edits(std::string_view raw_params);

}  // namespace llmd::pd
