#pragma once

#include <cstddef>
#include <string_view>

#include "base/error.h"
#include "pd/field_edit.h"
#include "pd/offloading.h"

namespace llmd::pd {

/// The first leg, as vLLM's NIXL connector wants it (scheduling spec 6.3, nixlv2): compute the prompt and one token,
/// keep the KV, say where it lies. Not streamed, whatever the client asked. With `source`, the endpoint pulls what of
/// the prompt's KV lies there (engines that run both connectors); null: it does not.
[[nodiscard]] FieldEdits nixl_prefill_edits(BodyKind kind, const KvSource* source = nullptr);

/// The second leg: the client's request with what the prefill endpoint said, verbatim. `raw_params` is the JSON text of
/// the prefill answer's kv_transfer_params; empty if it had none, which makes the value null and the decode endpoint
/// compute the prompt itself. Error kProtocol: it is neither an object nor null, or longer than kTransferParamsMax.
[[nodiscard]] Result<FieldEdits> nixl_decode_edits(std::string_view raw_params);

/// All the fields of a first leg's body that say how much is generated, set to 1 whether the client named them or not,
/// and nothing streamed.
[[nodiscard]] FieldEdits every_length_edits(BodyKind kind);

/// Bytes. A block id is some 10 digits and a prompt of 128k tokens has 8k blocks of 16.
inline constexpr std::size_t kTransferParamsMax = std::size_t{1} << 20;

}  // namespace llmd::pd
