#pragma once

#include <span>
#include <string>

#include "model/kv_event.h"

namespace llmd::kvevents {

/// The payload of one message: `[ts, [event...], data_parallel_rank]` in MessagePack, each event a map with the names
/// that vLLM has from 0.24 on. Always rank 0, medium "GPU", and one group of full attention. `unix_s`: when it
/// happened. About 5 bytes a token.
[[nodiscard]] std::string encode_batch(double unix_s, std::span<const KvEvent> events);

/// Bytes that the events take, about; for bounds.
[[nodiscard]] std::size_t approximate_bytes(std::span<const KvEvent> events) noexcept;

}  // namespace llmd::kvevents
