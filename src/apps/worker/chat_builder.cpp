#include "apps/worker/chat_builder.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace llmd::worker {

ChatBuilder::ChatBuilder(Setup setup, const llamacpp::RenderedChat& rendered) : setup_{std::move(setup)} {
  for (std::size_t i = 0; i < setup_.choices; ++i) choices_.emplace_back(rendered);
}

std::string_view ChatBuilder::finish_name(const Choice& choice, FinishReason reason) {
  if (reason == FinishReason::kStop && choice.parser.has_tool_calls()) return "tool_calls";
  return finish_reason_name(reason);
}

void ChatBuilder::keep_logprobs(Choice& choice, TokenOutput& token) const {
  if (!setup_.logprobs) return;
  std::move(token.logprobs.begin(), token.logprobs.end(), std::back_inserter(choice.logprobs));
}

void ChatBuilder::append_delta(std::size_t index, const llamacpp::ChatDelta& delta, std::string& out) {
  Choice& choice = choices_[index];
  openai::ChatChunk chunk{.index = static_cast<std::uint32_t>(index),
                          .role = !std::exchange(choice.role_sent, true),
                          .content = delta.content,
                          .reasoning = delta.reasoning};
  for (const auto& call : delta.tool_calls)
    chunk.tool_calls.push_back({call.index, call.id, call.name, call.arguments});
  chunk.logprobs = choice.logprobs;
  setup_.writer->append_chunk(out, chunk);
  choice.logprobs.clear();
}

void ChatBuilder::append_events(std::size_t index, SequenceEvent&& event, std::string& out) {
  Choice& choice = choices_[index];
  for (TokenOutput& token : event.tokens) {
    keep_logprobs(choice, token);
    if (token.text.empty()) continue;
    const llamacpp::ChatDelta delta = choice.parser.feed(token.text);
    if (!delta.empty()) append_delta(index, delta, out);
  }
  if (!event.finish) return;
  const llamacpp::ChatDelta rest = choice.parser.finish();
  if (!rest.empty() || !choice.role_sent || !choice.logprobs.empty()) append_delta(index, rest, out);
  openai::ChatChunk last{.index = static_cast<std::uint32_t>(index),
                         .finish_reason = finish_name(choice, *event.finish)};
  if (event.stop_string) last.stop_reason = *event.stop_string;
  setup_.writer->append_chunk(out, last);
}

void ChatBuilder::append_end(std::string& out, const openai::Usage& usage) { setup_.writer->append_end(out, usage); }

void ChatBuilder::append_error(std::string& out, const Error& error) { setup_.writer->append_error(out, error); }

void ChatBuilder::add_delta(Choice& choice, llamacpp::ChatDelta&& delta) {
  choice.answer.content += delta.content;
  choice.answer.reasoning += delta.reasoning;
  for (auto& call : delta.tool_calls) {
    auto& calls = choice.answer.tool_calls;
    // The parser numbers calls one after the other.
    if (call.index >= calls.size()) calls.resize(call.index + 1);
    if (!call.id.empty()) calls[call.index].id = std::move(call.id);
    if (!call.name.empty()) calls[call.index].name = std::move(call.name);
    calls[call.index].arguments += call.arguments;
  }
}

void ChatBuilder::collect(std::size_t index, SequenceEvent&& event) {
  Choice& choice = choices_[index];
  for (TokenOutput& token : event.tokens) {
    keep_logprobs(choice, token);
    if (!token.text.empty()) add_delta(choice, choice.parser.feed(token.text));
  }
  if (!event.finish) return;
  add_delta(choice, choice.parser.finish());
  choice.answer.finish_reason = finish_name(choice, *event.finish);
  choice.answer.stop_reason = std::move(event.stop_string);
  if (setup_.logprobs) choice.answer.logprobs = std::move(choice.logprobs);
}

std::string ChatBuilder::whole(const openai::Usage& usage, const openai::KvTransferParams* kv_transfer) {
  std::vector<openai::ChatChoice> answers;
  answers.reserve(choices_.size());
  for (Choice& choice : choices_) answers.push_back(std::move(choice.answer));
  std::string json;
  setup_.writer->append_whole(json, answers, usage, kv_transfer);
  return json;
}

}  // namespace llmd::worker
