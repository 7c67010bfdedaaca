#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "api/openai/chat_answer_writer.h"

namespace llmd::responses {

struct ResponseHead {
  std::string id;  // what stands behind "resp_" and, for its items, "msg_", "rs_" and "fc_"
  std::string model;
  std::int64_t created = 0;  // Unix seconds
  std::string echo;          // ConvertedRequest::echo
};

/// Answers as a Response of OpenAI's API, or as its stream: each event has a sequence_number; the last one
/// (response.completed, .incomplete or .failed) has the whole output, which is therefore kept. Call arguments that come
/// late, behind the begin of another item, count in the last event.
[[nodiscard]] std::unique_ptr<openai::ChatAnswerWriter> make_response_writer(ResponseHead head);

}  // namespace llmd::responses
