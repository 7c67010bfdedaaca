#pragma once

#include <cstdint>
#include <string>

#include "pd/field_edit.h"

namespace llmd::pd {

/// Where KV lies in the peer-to-peer tier of vLLM's OffloadingConnector.
struct KvSource {
  std::string request_id;  // of one pull; both legs of a split request share it
  std::string host;
  std::uint16_t port = 0;  // of the tier, not of the API
};

/// `"remote_kv_source":{...}`: pull what lies there of this prompt instead of computing it.
[[nodiscard]] std::string kv_source_member(const KvSource& source);

/// The first leg (scheduling spec 6.3, offloading): compute the prompt and keep its KV under the request id. Sent
/// together with the second: what is kept before it is asked for waits.
[[nodiscard]] FieldEdits offloading_prefill_edits(BodyKind kind, const std::string& request_id,
                                                  const KvSource* source = nullptr);
/// The second leg: the client's request, whose prompt is pulled from the prefill side.
[[nodiscard]] FieldEdits offloading_decode_edits(const KvSource& prefill);
/// No prefill leg, but a peer that has some of the prompt.
[[nodiscard]] FieldEdits kv_source_edits(const KvSource& source);

}  // namespace llmd::pd
