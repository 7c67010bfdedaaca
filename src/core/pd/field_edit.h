#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmd::pd {

/// A change of one field of a JSON object, or of a field inside one of its objects. Applied to the request's bytes by
/// whoever holds them (`api`), so that everything else stays as the client sent it.
struct FieldEdit {
  enum class When : std::uint8_t {
    kAlways,
    kIfPresent,  // only where the field is there already
    kIfAbsent,   // only where it is not
  };

  std::string path;      // "max_tokens"; a dot leads into an object: "sampling_params.max_tokens"
  std::string raw_json;  // the value as JSON text; empty: remove the field
  When when = When::kAlways;

  friend bool operator==(const FieldEdit&, const FieldEdit&) = default;
};
using FieldEdits = std::vector<FieldEdit>;

/// Which API the request speaks: it decides how its output length is named.
enum class BodyKind : std::uint8_t {
  kChatOrCompletion,  // max_tokens, max_completion_tokens, min_tokens
  kResponses,         // max_output_tokens
  kGenerate,          // sampling_params.max_tokens, sampling_params.min_tokens
};
/// Of the request's path, without query. Paths that are none of theirs count as kChatOrCompletion.
[[nodiscard]] BodyKind body_kind(std::string_view path) noexcept;

inline constexpr std::string_view kTransferField = "kv_transfer_params";
inline constexpr std::string_view kEncoderField = "ec_transfer_params";

[[nodiscard]] FieldEdit set_field(std::string_view path, std::string_view raw_json,
                                  FieldEdit::When when = FieldEdit::When::kAlways);
[[nodiscard]] FieldEdit remove_field(std::string_view path);

/// `text` as a JSON string with its quotes. Pre: it is UTF-8.
[[nodiscard]] std::string quoted(std::string_view text);
/// A JSON array of such strings.
[[nodiscard]] std::string quoted_list(const std::vector<std::string>& texts);

/// "Compute the prompt and one token, all at once": the leg ends as soon as the KV is there. Lengths that the client
/// did not name stay unnamed, but the one that every engine reads.
[[nodiscard]] FieldEdits one_token_edits(BodyKind kind);

}  // namespace llmd::pd
