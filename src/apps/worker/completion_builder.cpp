#include "apps/worker/completion_builder.h"

#include <algorithm>
#include <utility>

#include "api/openai/error.h"
#include "base/utf8.h"
#include "engine/llama/text_stream.h"

namespace llmd::worker {
std::size_t CompletionBuilder::Offsets::next(std::string_view text) {
  const std::size_t offset = characters;
  begun += text;
  const std::size_t whole = begun.size() - engine::incomplete_utf8_bytes(begun);
  characters += code_points(engine::valid_utf8(std::string_view{begun}.substr(0, whole)));
  begun.erase(0, whole);
  return offset;
}

CompletionBuilder::CompletionBuilder(Setup setup)
    : setup_{std::move(setup)}, writer_{setup_.head, setup_.include_usage} {
  choices_.resize(setup_.choices);
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    choices_[i].part.index = static_cast<std::uint32_t>(i);
    if (setup_.logprobs) choices_[i].part.logprobs.emplace();
  }
}

void CompletionBuilder::echo(std::size_t index, const SequenceEvent& event) {
  Choice& choice = choices_[index];
  if (std::exchange(choice.echoed, true) || setup_.echoes.empty()) return;
  const Echo& prompt = setup_.echoes[index / setup_.choices_per_prompt];
  choice.part.text += prompt.text;
  if (choice.part.logprobs) {
    for (std::size_t i = 0; i < prompt.tokens.size(); ++i) {
      if (i < event.prompt_logprobs.size() && event.prompt_logprobs[i]) {
        TokenLogprobs logprobs = *event.prompt_logprobs[i];
        logprobs.chosen.text = prompt.tokens[i];
        add_logprobs(choice, std::move(logprobs));
        continue;
      }
      auto& entry = choice.part.logprobs->entries.emplace_back();
      entry.text = prompt.tokens[i];
      entry.text_offset = choice.offsets.next(entry.text);
    }
  }
  choice.offsets = {.characters = code_points(prompt.text), .begun = {}};
}

/// The alternatives of a token always name itself too, as OpenAI's do: one more if it is not among the best.
void CompletionBuilder::add_logprobs(Choice& choice, TokenLogprobs&& logprobs) {
  auto& entry = choice.part.logprobs->entries.emplace_back();
  entry.text_offset = choice.offsets.next(logprobs.chosen.text);
  entry.logprob = logprobs.chosen.logprob;
  entry.top = std::move(logprobs.top);
  const bool named = std::any_of(entry.top.begin(), entry.top.end(),
                                 [&](const TokenLogprob& other) { return other.token == logprobs.chosen.token; });
  if (!named) entry.top.push_back(logprobs.chosen);
  entry.text = std::move(logprobs.chosen.text);
}

void CompletionBuilder::add_token(Choice& choice, TokenOutput& token) const {
  choice.part.text += token.text;
  if (!choice.part.logprobs) return;
  for (TokenLogprobs& logprobs : token.logprobs) add_logprobs(choice, std::move(logprobs));
}

void CompletionBuilder::flush(Choice& choice, std::string& out) {
  const bool has_logprobs = choice.part.logprobs && !choice.part.logprobs->entries.empty();
  if (choice.part.text.empty() && !has_logprobs && choice.part.finish_reason.empty()) return;
  writer_.append_chunk(out, choice.part);
  choice.part.text.clear();
  if (choice.part.logprobs) choice.part.logprobs->entries.clear();
}

void CompletionBuilder::append_events(std::size_t index, SequenceEvent&& event, std::string& out) {
  Choice& choice = choices_[index];
  if (!choice.echoed) {
    echo(index, event);
    flush(choice, out);
  }
  if (!setup_.drop_output) {
    for (TokenOutput& token : event.tokens) {
      add_token(choice, token);
      // Text that is held back waits, with its logprobs, for a later token.
      if (!token.text.empty()) flush(choice, out);
    }
  }
  if (!event.finish) return;
  choice.part.finish_reason = finish_reason_name(*event.finish);
  choice.part.stop_reason = std::move(event.stop_string);
  flush(choice, out);
}

void CompletionBuilder::append_end(std::string& out, const openai::Usage& usage) {
  if (setup_.include_usage) writer_.append_usage_chunk(out, usage);
  out += openai::kDoneEvent;
}

void CompletionBuilder::append_error(std::string& out, const Error& error) {
  openai::append_event(out, openai::error_json(error));
}

void CompletionBuilder::collect(std::size_t index, SequenceEvent&& event) {
  Choice& choice = choices_[index];
  echo(index, event);
  if (!setup_.drop_output) {
    for (TokenOutput& token : event.tokens) add_token(choice, token);
  }
  if (!event.finish) return;
  choice.part.finish_reason = finish_reason_name(*event.finish);
  choice.part.stop_reason = std::move(event.stop_string);
}

std::string CompletionBuilder::whole(const openai::Usage& usage, const openai::KvTransferParams* kv_transfer) {
  std::vector<openai::CompletionChoice> parts;
  parts.reserve(choices_.size());
  for (Choice& choice : choices_) parts.push_back(std::move(choice.part));
  std::string json;
  openai::append_completion(json, setup_.head, parts, usage, kv_transfer);
  return json;
}

}  // namespace llmd::worker
