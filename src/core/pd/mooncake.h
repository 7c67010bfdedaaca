#pragma once

#include <string>

#include "pd/field_edit.h"

namespace llmd::pd {

/// How the two legs of a request meet with vLLM's MooncakeConnector.
struct MooncakeMeeting {
  std::string transfer_id;     // "xfer-" and a UUID
  std::string bootstrap_addr;  // "http://host:port" of the prefill side's bootstrap server
  std::string engine_id;       // of the prefill rank, as that server tells
};

/// The first leg (scheduling spec 6.3, mooncake), sent together with the second.
[[nodiscard]] FieldEdits mooncake_prefill_edits(BodyKind kind, const MooncakeMeeting& meeting);
[[nodiscard]] FieldEdits mooncake_decode_edits(const MooncakeMeeting& meeting);

/// The header of the first leg that names the rank whose engine id the second leg has.
inline constexpr std::string_view kRankHeader = "x-data-parallel-rank";

}  // namespace llmd::pd
