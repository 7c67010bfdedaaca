#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "api/openai/chat_answer_writer.h"
#include "apps/worker/answer_builder.h"
#include "llamacpp/chat_template.h"

namespace llmd::worker {

/// The answer to a chat, in whichever API it was asked: output text goes through the template's parser, which finds
/// reasoning and tool calls.
class ChatBuilder final : public AnswerBuilder {
 public:
  struct Setup {
    std::unique_ptr<openai::ChatAnswerWriter> writer;
    std::size_t choices = 1;
    bool logprobs = false;
  };
  ChatBuilder(Setup setup, const llamacpp::RenderedChat& rendered);

  void append_events(std::size_t index, SequenceEvent&& event, std::string& out) override;
  void append_end(std::string& out, const openai::Usage& usage) override;
  void append_error(std::string& out, const Error& error) override;
  void collect(std::size_t index, SequenceEvent&& event) override;
  [[nodiscard]] std::string whole(const openai::Usage& usage, const openai::KvTransferParams* kv_transfer) override;

 private:
  struct Choice {
    explicit Choice(const llamacpp::RenderedChat& rendered) : parser{rendered} {}
    llamacpp::ChatParser parser;
    bool role_sent = false;
    std::vector<TokenLogprobs> logprobs;  // streamed: not sent yet; whole: all
    openai::ChatChoice answer;
  };
  void keep_logprobs(Choice& choice, TokenOutput& token) const;
  void append_delta(std::size_t index, const llamacpp::ChatDelta& delta, std::string& out);
  static void add_delta(Choice& choice, llamacpp::ChatDelta&& delta);
  [[nodiscard]] static std::string_view finish_name(const Choice& choice, FinishReason reason);

  Setup setup_;
  std::deque<Choice> choices_;  // a parser cannot move
};

}  // namespace llmd::worker
