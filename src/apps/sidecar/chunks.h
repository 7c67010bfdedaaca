#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/openai/first_choice.h"
#include "base/error.h"

namespace llmd::sidecar {

/// A chat's answer that is asked for in pieces of a few tokens, so that a long one does not hold its slot throughout:
/// each request continues the assistant's message that the last ones began (scheduling spec 6.6).
struct ChunkPlan {
  std::uint32_t chunk_tokens = 0;
  std::optional<std::uint32_t> tokens_max{};  // of the answer, if the client says so
  std::optional<std::uint32_t> tokens_min{};
  bool streams = false;
};

/// Nothing: it must be asked for whole. So are answers that fit one piece, and those that text alone cannot continue:
/// of several choices, with tools, a grammar or log probabilities, and where the client itself continues a message.
/// Errors: kInvalidJson, kInvalidRequest. May grow the body's capacity.
[[nodiscard]] Result<std::optional<ChunkPlan>> plan_chunks(std::string& body, std::uint32_t chunk_tokens);

/// The answer as far as it has come.
class ChunkedAnswer {
 public:
  ChunkedAnswer(std::string_view body, ChunkPlan plan) : body_{body}, plan_{plan} {}

  /// The next piece's request.
  [[nodiscard]] Result<std::string> next_request() const;
  /// Takes its answer. Errors as read_first_choice(), and kUnsupported: it holds what text does not tell, and nothing
  /// was taken. (Only of the first piece: then the answer is to be asked for whole.)
  [[nodiscard]] Result<void> take(std::string answer);
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  /// The engine has no room for a further piece. False: the client asked for one, or there is none yet; nothing has
  /// changed. Else the text ends here as one whose length is used up, with an empty piece of its own.
  [[nodiscard]] bool end_by_length();

  /// The last piece as an event of a stream.
  [[nodiscard]] Result<std::string> event();
  /// The counts of all pieces, and [DONE].
  [[nodiscard]] Result<std::string> last_events();
  /// All of it as one answer.
  [[nodiscard]] Result<std::string> whole();
  /// `tokens` of the prompt were cached, whatever the pieces say.
  void set_cached_tokens(std::uint32_t tokens);

 private:
  [[nodiscard]] std::uint32_t budget() const noexcept;
  [[nodiscard]] std::string usage() const;

  std::string_view body_;
  const ChunkPlan plan_;
  std::string text_;    // of all pieces
  std::string answer_;  // the last piece's
  openai::FirstChoice choice_;
  std::string id_;  // of the first piece, as JSON text
  std::uint32_t prompt_tokens_ = 0;
  std::string raw_prompt_details_;
  std::uint32_t tokens_ = 0;
  std::uint32_t pieces_ = 0;
  bool complete_ = false;
};

}  // namespace llmd::sidecar
