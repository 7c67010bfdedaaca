#pragma once

#include <cstdint>
#include <string_view>

#include "base/rng.h"
#include "pd/field_edit.h"

namespace llmd::pd {

/// A number under which both legs meet, from 1 to 2^53 - 1, so that readers that take numbers for doubles read the same
/// one. Random and not a time: sidecars do not know of each other, and SGLang spreads requests over ranks by it.
[[nodiscard]] std::uint64_t sglang_room(Rng& rng) noexcept;

struct SglangMeeting {
  std::string_view host;  // of the prefill endpoint, without port
  std::uint16_t bootstrap_port = 0;
  std::uint64_t room = 0;
};
/// Both legs (scheduling spec 6.3, sglang): the same body, sent at once. The prefill side ends by itself when its part
/// is done, so lengths and streaming stay.
[[nodiscard]] FieldEdits sglang_edits(const SglangMeeting& meeting);

}  // namespace llmd::pd
