#pragma once

#include <string>
#include <vector>

namespace llmd::api {

/// A request of another API as a chat completion, and what its answer must know of it.
struct ConvertedRequest {
  std::string body;   // JSON for /v1/chat/completions; /tokenize takes it, too
  std::string model;  // as the client named it; empty: it did not
  bool stream = false;
  std::vector<std::string> stop;  // strings at which the client wants the answer to end
  std::string echo;               // Responses: JSON members that the answer repeats of its request
};

struct ConversionOptions {
  bool text_only = false;      // images are refused here, by the name that they have in the client's request
  bool counts_tokens = false;  // the prompt alone matters: no limit of the answer's length is required
};

}  // namespace llmd::api
