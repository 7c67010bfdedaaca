#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/llama/text_stream.h"
#include "engine/sim/answer_words.h"
#include "simulation/workload.h"

namespace llmd::engine {

/// One sequence of a SimulatedEngine: its answer is decided when it is submitted, and told as steps make its tokens.
class SimulatedSequence {
 public:
  /// `answer_tokens`: the most that it gets, at least 1; `ends_there` says why it then ends. A stop string may end it
  /// earlier.
  struct Plan {
    std::uint64_t seed = 0;
    std::uint32_t answer_tokens = 1;
    FinishReason ends_there = FinishReason::kLength;
  };
  SimulatedSequence(SequenceId id, const SequenceRequest& request, std::shared_ptr<SequenceSink> sink,
                    const AnswerWords& words, Plan plan);

  /// All tokens that it will get.
  [[nodiscard]] std::uint32_t answer_tokens() const noexcept { return plan_.answer_tokens; }
  [[nodiscard]] TokenId answer_token(std::uint32_t index) const noexcept { return words_.at(plan_.seed, index).token; }
  /// The next token as an event; with the last one `finish` is set.
  [[nodiscard]] SequenceEvent next(TimePoint now);

  const SequenceId id;
  const std::string request_id;
  const std::shared_ptr<SequenceSink> sink;
  simulation::SimRequest request{};  // as the engine model knows it
  std::vector<TokenId> tokens;       // prompt and answer, if its blocks are told to somebody
  std::string cache_salt;            // then, too
  SequenceUsage usage;
  SequenceTimes times;

 private:
  [[nodiscard]] std::uint32_t tokens_until_stop() const;

  const AnswerWords& words_;
  Plan plan_;
  TextStream text_;
};

}  // namespace llmd::engine
