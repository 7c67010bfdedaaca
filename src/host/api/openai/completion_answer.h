#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/answer.h"

namespace llmd::openai {

/// The logprobs of a text completion as columns. With echo the first prompt token has no logprob (null on the wire).
struct CompletionLogprobs {
  struct Entry {
    std::string text;
    std::optional<float> logprob;
    std::vector<TokenLogprob> top;
    std::size_t text_offset = 0;  // of the token in the choice's text, in bytes
  };
  std::vector<Entry> entries;
};

struct CompletionChoice {
  std::uint32_t index = 0;
  std::string text;
  std::optional<CompletionLogprobs> logprobs;
  std::string_view finish_reason;  // empty (null) inside a stream
  std::optional<std::string> stop_reason;
};

/// Appends a `text_completion` object.
void append_completion(std::string& out, const AnswerHead& head, std::span<const CompletionChoice> choices,
                       const Usage& usage, const KvTransferParams* kv_transfer = nullptr);

/// Writes the events of one streamed text completion.
class CompletionStreamWriter {
 public:
  CompletionStreamWriter(const AnswerHead& head, bool include_usage);
  void append_chunk(std::string& out, const CompletionChoice& choice) const;
  void append_usage_chunk(std::string& out, const Usage& usage) const;

 private:
  std::string head_;
  bool include_usage_;
};

}  // namespace llmd::openai
