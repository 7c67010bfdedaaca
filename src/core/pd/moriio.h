#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pd/field_edit.h"
#include "pd/offloading.h"

namespace llmd::pd {

/// The part of an engine's configuration that MoRI-IO's write mode needs in the legs (scheduling spec 6.3): there the
/// prefill side pushes the KV, so it must know the decode side. A variant of nixlv2.
struct MoriioOptions {
  std::string decode_host;  // the decode pod's, that the prefill side can reach
  std::uint16_t decode_notify_port = 61005;
  std::uint16_t decode_handshake_port = 6301;
  std::uint16_t prefill_notify_port = 61005;
  std::uint16_t prefill_handshake_port = 6301;
  std::uint32_t tp_size = 1;
  std::uint32_t dp_size = 1;                 // of all pods of a side
  std::uint32_t dp_size_local = 0;           // of one pod; 0: there is one
  std::vector<std::string> prefill_hosts{};  // of several pods of a side, in the order of their ranks
  std::vector<std::string> decode_hosts{};
};

/// One split request.
struct MoriioPlan {
  std::string transfer_id;  // "tx" and a UUID: the connector routes its messages by the prefix
  std::uint32_t rank = 0;
};

/// The rank of both legs: the first eight bytes, high ones first, of the id's BLAKE2s-256, modulo dp_size, as the
/// engines choose it themselves. 0 if there is one.
[[nodiscard]] std::uint32_t moriio_rank(std::string_view request_id, std::uint32_t dp_size);

[[nodiscard]] FieldEdits moriio_prefill_edits(BodyKind kind, const MoriioOptions& options, const MoriioPlan& plan,
                                              const KvSource* source = nullptr);

/// What the prefill endpoint says of the rank that it ran on, `raw_rank` being the JSON text of remote_dp_rank, if it
/// is a rank; else the plan's.
[[nodiscard]] std::uint32_t moriio_decode_rank(std::optional<std::string_view> raw_rank, const MoriioOptions& options,
                                               const MoriioPlan& plan);
/// Edits of the object kv_transfer_params of the prefill answer, that make it the decode leg's. `rank`: of
/// moriio_decode_rank().
[[nodiscard]] FieldEdits moriio_params_edits(const MoriioOptions& options, const MoriioPlan& plan, std::uint32_t rank);

/// The decode leg if both are sent at once, so that it is not known what the prefill endpoint will say.
[[nodiscard]] FieldEdits moriio_parallel_decode_edits(const MoriioOptions& options, const MoriioPlan& plan,
                                                      std::string_view prefill_host);

}  // namespace llmd::pd
