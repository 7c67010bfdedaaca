#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/routing_fields.h"
#include "api/requests/parse_hints.h"
#include "base/error.h"
#include "model/request_facts.h"

/// The one reader of JSON request bodies that only decide where a request goes. Internal to api.
namespace llmd::api {

/// What a top-level field of a body is to a router.
enum class FieldUse : std::uint8_t {
  kModel,
  kPrompt,             // a string, or a list that is walked for media if the form has any
  kSystem,             // a string or a list; part of the prompt
  kTools,              // a list; part of the prompt
  kOutputTokens,       // a whole number that is not negative
  kOutputTokensFirst,  // the same, and stronger than kOutputTokens wherever it stands
  kSampling,           // an object with a field of kOutputTokens, named by the form
  kPriority,
  kStream,
  kStreamOptions,
  kCacheSalt,
  kExtraArguments,  // vllm_xargs
  kRequestId,
  kFeatures,  // vLLM's, of media that somebody else has processed
};

struct FieldMeaning {
  std::string_view name;
  FieldUse use;
};

/// The body of one API.
struct BodyForm {
  std::span<const FieldMeaning> fields;
  std::string_view sampling_output{};  // the name of kOutputTokens inside kSampling
  bool has_media = false;              // prompts may hold images and the like
  bool keeps_cache_threshold = false;  // cache_hit_threshold is the client's to give
};

/// What a body said. Views of the body.
struct BodyReading {
  openai::RoutingFields fields;
  std::vector<MediaItem> media;
  std::string_view request_id;  // of a string without escapes
  bool has_prompt = false;      // of a type that a prompt may have
  bool prompt_is_list = false;
  bool prompt_is_empty = true;  // "", [] or none
};

/// Reads the JSON object `json`, which is `body` or a part of it. May grow the body's capacity (never its size). A
/// field of the wrong type counts as absent, except the model. Errors: kInvalidJson, kInvalidRequest (not an object;
/// the model is not a string).
[[nodiscard]] Result<BodyReading> read_body(std::string& body, openai::ByteRange json, const BodyForm& form,
                                            const ParseHints& hints);

}  // namespace llmd::api
