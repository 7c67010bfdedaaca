#include "pd/sglang.h"

#include <string>

namespace llmd::pd {

std::uint64_t sglang_room(Rng& rng) noexcept { return 1 + rng.next() % ((std::uint64_t{1} << 53U) - 1); }

FieldEdits sglang_edits(const SglangMeeting& meeting) {
  return {set_field("bootstrap_host", quoted(meeting.host)),
          set_field("bootstrap_port", std::to_string(meeting.bootstrap_port)),
          set_field("bootstrap_room", std::to_string(meeting.room))};
}

}  // namespace llmd::pd
