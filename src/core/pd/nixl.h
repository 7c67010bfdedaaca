#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::pd {

/// A change of one top-level field of a JSON object, or of a field inside one of its objects. Applied to the request's
/// bytes by whoever holds them (`api`), so that everything else stays as the client sent it.
struct FieldEdit {
  std::string path;      // "max_tokens"; a dot leads into an object: "sampling_params.max_tokens"
  std::string raw_json;  // the value as JSON text; empty: remove the field

  friend bool operator==(const FieldEdit&, const FieldEdit&) = default;
};
using FieldEdits = std::vector<FieldEdit>;

/// Which API the request speaks: it decides how its output length is named.
enum class BodyKind : std::uint8_t {
  kChatOrCompletion,  // max_tokens, max_completion_tokens, min_tokens
  kResponses,         // max_output_tokens
  kGenerate,          // sampling_params.max_tokens, sampling_params.min_tokens
};

inline constexpr std::string_view kTransferField = "kv_transfer_params";

/// The first leg, as vLLM's NIXL connector wants it (scheduling spec 6.3, nixlv2): compute the prompt and one token,
/// keep the KV, say where it lies. Not streamed, whatever the client asked.
[[nodiscard]] FieldEdits nixl_prefill_edits(BodyKind kind);

/// The second leg: the client's request with what the prefill endpoint said, verbatim. `raw_params` is the JSON text of
/// the prefill answer's kv_transfer_params; empty if it had none, which makes the value null and the decode endpoint
/// compute the prompt itself. Error kProtocol: it is neither an object nor null, or longer than kTransferParamsMax.
[[nodiscard]] Result<FieldEdits> nixl_decode_edits(std::string_view raw_params);

/// Without a prefill leg, or when it failed: the client's request as it is. No transfer field goes out, whoever put it
/// there.
[[nodiscard]] FieldEdits local_edits();

/// Bytes. A block id is some 10 digits and a prompt of 128k tokens has 8k blocks of 16.
inline constexpr std::size_t kTransferParamsMax = std::size_t{1} << 20;

}  // namespace llmd::pd
