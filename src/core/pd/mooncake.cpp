#include "pd/mooncake.h"

#include <fmt/format.h>

namespace llmd::pd {

FieldEdits mooncake_prefill_edits(BodyKind kind, const MooncakeMeeting& meeting) {
  FieldEdits edits = one_token_edits(kind);
  edits.insert(
      edits.begin(),
      set_field(kTransferField, fmt::format(R"({{"do_remote_prefill":false,"do_remote_decode":true,"transfer_id":{}}})",
                                            quoted(meeting.transfer_id))));
  return edits;
}

FieldEdits mooncake_decode_edits(const MooncakeMeeting& meeting) {
  return {
      set_field(kTransferField,
                fmt::format(R"({{"do_remote_prefill":true,"do_remote_decode":false,"transfer_id":{},)"
                            R"("remote_bootstrap_addr":{},"remote_engine_id":{}}})",
                            quoted(meeting.transfer_id), quoted(meeting.bootstrap_addr), quoted(meeting.engine_id)))};
}

}  // namespace llmd::pd
