#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/openai/completion_answer.h"
#include "apps/worker/answer_builder.h"

namespace llmd::worker {

/// The answer of a text completion, with the prompt before it if it is to be echoed.
class CompletionBuilder final : public AnswerBuilder {
 public:
  struct Echo {
    std::string text;                 // of the prompt
    std::vector<std::string> tokens;  // its tokens' texts, for logprobs
  };
  struct Setup {
    openai::AnswerHead head;
    std::size_t choices_per_prompt = 1;
    std::size_t choices = 1;  // of all prompts
    bool logprobs = false;
    bool include_usage = false;
    bool drop_output = false;
    std::vector<Echo> echoes;  // one a prompt, or none
  };
  explicit CompletionBuilder(Setup setup);

  void append_events(std::size_t index, SequenceEvent&& event, std::string& out) override;
  void append_end(std::string& out, const openai::Usage& usage) override;
  void append_error(std::string& out, const Error& error) override;
  void collect(std::size_t index, SequenceEvent&& event) override;
  [[nodiscard]] std::string whole(const openai::Usage& usage, const openai::KvTransferParams* kv_transfer) override;

 private:
  /// Where tokens begin in the text, in characters: clients index the text so. A token that goes on with a character
  /// begins where that character does.
  struct Offsets {
    std::size_t characters = 0;  // whole ones so far
    std::string begun;           // bytes of one that is not whole yet
    /// The offset of a token with this text, which comes next.
    std::size_t next(std::string_view text);
  };
  struct Choice {
    bool echoed = false;
    Offsets offsets;
    openai::CompletionChoice part;  // streamed: not sent yet; whole: all
  };
  void echo(std::size_t index, const SequenceEvent& event);
  static void add_logprobs(Choice& choice, TokenLogprobs&& logprobs);
  void add_token(Choice& choice, TokenOutput& token) const;
  void flush(Choice& choice, std::string& out);

  Setup setup_;
  openai::CompletionStreamWriter writer_;
  std::vector<Choice> choices_;
};

}  // namespace llmd::worker
