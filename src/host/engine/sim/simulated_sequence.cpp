#include "engine/sim/simulated_sequence.h"

#include <string>

namespace llmd::engine {
namespace {

void add_pieces(std::vector<TextStream::Piece>&& pieces, SequenceEvent& event) {
  for (TextStream::Piece& piece : pieces) event.tokens.push_back({.text = std::move(piece.text)});
}

}  // namespace

SimulatedSequence::SimulatedSequence(SequenceId sequence_id, const SequenceRequest& wanted,
                                     std::shared_ptr<SequenceSink> to, const AnswerWords& words, Plan plan)
    : id{sequence_id},
      request_id{wanted.request_id},
      sink{std::move(to)},
      words_{words},
      plan_{plan},
      text_{wanted.stop} {
  usage.prompt_tokens = static_cast<std::uint32_t>(wanted.prompt.size());
  plan_.answer_tokens = tokens_until_stop();
}

std::uint32_t SimulatedSequence::tokens_until_stop() const {
  if (text_.stops().empty()) return plan_.answer_tokens;
  TextStream text{text_.stops()};
  for (std::uint32_t i = 0; i < plan_.answer_tokens; ++i) {
    if (text.add(words_.at(plan_.seed, i).text).stop) return i + 1;
  }
  return plan_.answer_tokens;
}

SequenceEvent SimulatedSequence::next(TimePoint now) {
  const AnswerWords::Word& word = words_.at(plan_.seed, usage.completion_tokens++);
  if (!times.first_token) times.first_token = now;
  times.last_token = now;
  SequenceEvent event{.sequence = id};
  TextStream::Shown shown = text_.add(word.text);
  add_pieces(std::move(shown.pieces), event);
  if (shown.stop) {
    event.finish = FinishReason::kStop;
    event.stop_string = text_.stops()[*shown.stop];
  } else if (usage.completion_tokens == plan_.answer_tokens) {
    event.finish = plan_.ends_there;
    add_pieces(text_.finish(), event);
  }
  if (event.tokens.empty()) event.tokens.emplace_back();
  event.tokens.back().token = word.token;
  event.usage = usage;
  if (event.finish) event.times = times;
  return event;
}

}  // namespace llmd::engine
