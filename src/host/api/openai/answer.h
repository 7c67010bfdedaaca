#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/kv_transfer_params.h"
#include "model/generation.h"

/// What answers are made of. Views in these structs must live until the writer returns.
namespace llmd::openai {

struct Usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t cached_tokens = 0;  // of the prompt's
};

/// What every object of one answer carries.
struct AnswerHead {
  std::string id;  // "chatcmpl-..." or "cmpl-..."
  std::string model;
  std::int64_t created = 0;  // Unix seconds
};

struct ToolCallAnswer {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text
};

/// Appends {"prompt_tokens",...,"prompt_tokens_details":{"cached_tokens"}}.
void append_usage(std::string& out, const Usage& usage);

/// Appends one server-sent event. Pre: `json` holds no line break (no writer here makes one).
void append_event(std::string& out, std::string_view json);
inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

/// "chatcmpl-" or the like, and the request id, so that an answer can be found in logs.
[[nodiscard]] std::string answer_id(std::string_view prefix, std::string_view request_id);

}  // namespace llmd::openai
