#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace llmd::openai {

/// A range of bytes in a body.
struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A range of bytes of a body and what is to stand there instead.
struct TextEdit {
  ByteRange range;
  std::string_view text;
};

/// A piece of the prompt's JSON that says nothing of it as text: the URL or content of an image, or a value that
/// changes with each request of one session.
struct PromptCut {
  std::string_view text;
  std::uint64_t hash = 0;
  std::uint32_t tokens = 0;  // that stand for it
};

/// What a router must know of a request body, and what it must change in it. Read in one pass that does not look into
/// values that do not decide anything; full validation is the worker's. Offsets and views refer to the body that was
/// read and are valid while it is neither changed nor moved.
struct RoutingFields {
  std::optional<std::string> model;  // absent or null: none
  std::string_view prompt;           // raw JSON of messages, prompt or input; a string without its quotes
  std::string_view tools;            // raw JSON of tools: chat templates put them before the messages
  std::string_view system;           // raw JSON of what stands apart but comes first: Anthropic's system, instructions
  std::vector<PromptCut> cuts;       // of the three above, in their order within each
  std::vector<TokenId> prompt_ids;   // a prompt given as token ids; then `prompt` is its JSON
  std::string cache_salt;
  bool stream = false;
  bool include_usage = false;           // stream_options.include_usage
  bool has_stream_options = false;      // of whatever type
  std::uint32_t output_tokens_max = 0;  // 0: not given
  std::int32_t priority = 0;            // higher first

  std::optional<ByteRange> model_value;  // the value's JSON, quotes included
  std::optional<TextEdit>
      usage_edit;  // with static text; makes stream_options.include_usage true where it is false or missing
  std::size_t object_begin = 0;     // just behind the opening brace
  bool has_fields = false;          // any field that stays
  std::vector<ByteRange> steering;  // fields of design principle 8 with their commas, in order, disjoint

  /// Whether the answer is a stream whose client did not ask for its token counts, and a router may: not if the
  /// options are none that it understands.
  [[nodiscard]] bool may_ask_for_usage() const noexcept {
    return stream && !include_usage && (!has_stream_options || usage_edit.has_value());
  }
};

/// Reads a JSON object. May grow the body's capacity (never its size): call before taking views of it.
/// A deciding field of the wrong type counts as absent, except `model`, without which no endpoint can judge the
/// request. About 10 GB/s on long prompts. Errors: kInvalidJson, kInvalidRequest (not an object; model is not a
/// string).
[[nodiscard]] Result<RoutingFields> read_routing_fields(std::string& body);

/// Whether a client may not set the top-level field: the parts of the system steer each other by it.
[[nodiscard]] bool is_steering_field(std::string_view name) noexcept;
/// Whether some reader of JSON may find such a field in the body: it begins as an object, and names one, or has escapes
/// or zero bytes (UTF-16, which Python's readers take) that hide names. True also of many that have none.
[[nodiscard]] bool may_steer(std::string_view body) noexcept;
/// The JSON object without such fields, but with cache_hit_threshold, which clients of an engine may give; what stands
/// in sampling_params.extra_args with one goes, and vllm_xargs. May grow the body's capacity. Errors: kInvalidJson,
/// kInvalidRequest (no object).
[[nodiscard]] Result<std::string> without_steering(std::string& body);

struct BodyChanges {
  std::optional<std::string_view> model{};  // in place of the model, or added
  std::string_view prompt_tokens{};         // added as kPromptTokensField; empty: not
  bool ask_for_usage = false;               // stream_options.include_usage becomes true; see may_ask_for_usage()
};
/// What rewrite_body() changes, sorted and disjoint. The texts are views of the changes, of static text and of
/// `scratch`.
[[nodiscard]] std::vector<TextEdit> edits_of(const RoutingFields& fields, const BodyChanges& changes,
                                             std::string& scratch);
[[nodiscard]] std::string apply_text_edits(std::string_view body, std::span<const TextEdit> edits);

/// The body to send on: without the steering fields, and with the changes. Empty if nothing changes, so that the common
/// case costs no copy.
[[nodiscard]] std::optional<std::string> rewrite_body(std::string_view body, const RoutingFields& fields,
                                                      const BodyChanges& changes);

/// The text whose bytes stand for the prompt where its tokens are not known: tools, system and prompt, with four bytes
/// of the hash a token in place of each cut, aligned to four. A view of the body if that is the prompt alone, else of
/// `scratch`.
[[nodiscard]] std::string_view prompt_text(const RoutingFields& fields, std::string& scratch);

}  // namespace llmd::openai
