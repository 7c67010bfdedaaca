// shared-storage: the engine here may find that it holds enough of the prompt; if not, the prefill endpoint fills the
// store first.
#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/first_choice.h"
#include "apps/sidecar/call.h"
#include "net/hop_by_hop.h"
#include "net/sse.h"
#include "pd/shared_storage.h"

namespace llmd::sidecar {
namespace {

constexpr std::size_t kUndecidedBytesMax = 64 * 1024;  // of a stream whose events say nothing yet

enum class Word : std::uint8_t {
  kNone,          // nothing that decides
  kNeedsPrefill,  // too little of the prompt is here
  kAnswer,        // the answer has begun
};

Word word_of(std::string json) {
  const auto choice = openai::read_first_choice(json);
  if (!choice || !choice->present) return Word::kNone;
  if (choice->finish_reason == pd::kCacheThreshold) return Word::kNeedsPrefill;
  const bool says_something = !choice->finish_reason.empty() || !choice->text.empty() || choice->has_other_output;
  return says_something ? Word::kAnswer : Word::kNone;
}

}  // namespace

Task<void> Call::shared_storage_legs() {
  chunkable_ = false;
  const auto threshold = openai::raw_member(body_, pd::kCacheThresholdField);
  if (!threshold) {
    co_await answer(400, threshold.error().what);
    co_return;
  }
  if (*threshold) {
    const bool answered = co_await try_decode();
    if (answered) co_return;
  }
  const PrefillEnd end = co_await prefill(pd::shared_storage_prefill_edits(pd::body_kind(path_)), {});
  if (end.end == Prefill::kAnswered) co_return;
  const bool edited = co_await edit_body(pd::shared_storage_decode_edits());
  if (edited) co_await decode();
}

/// True: the client has its answer, or has left. False: prefill first.
Task<bool> Call::try_decode() {
  net::CancelToken cancel;
  auto response = co_await ask_engine(body_, cancel);
  bool answered = true;
  if (!response) {
    co_await answer_engine_failure(response.error());
  } else if ((*response)->status() >= 300) {
    co_await relay(**response, {});
  } else if ((*response)->headers().get("content-type").value_or("").starts_with("text/event-stream")) {
    answered = co_await try_streamed(**response);
  } else {
    answered = co_await try_whole(**response);
  }
  engine_ = nullptr;
  co_return answered || left_;
}

Task<bool> Call::try_streamed(net::ClientResponse& response) {
  net::SseParser parser;
  std::string held;
  bool ended = false;
  while (!ended && held.size() < kUndecidedBytesMax) {
    const auto piece = co_await response.read();
    if (!piece) {
      co_await answer_engine_failure(piece.error());
      co_return true;
    }
    held += *piece;
    ended = piece->empty();
    const auto events = parser.feed(*piece);
    if (!events) break;
    Word word = Word::kNone;
    for (const net::SseEvent& event : *events) {
      if (word == Word::kNone) word = word_of(event.data);
    }
    if (word == Word::kNeedsPrefill) co_return false;
    if (word == Word::kAnswer) break;
  }
  const Begun begun{.bytes = held, .ended = ended};
  co_await relay(response, begun);
  co_return true;
}

Task<bool> Call::try_whole(net::ClientResponse& response) {
  std::string held;
  bool ended = false;
  while (!ended && held.size() <= options().held_answer_bytes_max) {
    const auto piece = co_await response.read();
    if (!piece) {
      co_await answer_engine_failure(piece.error());
      co_return true;
    }
    held += *piece;
    ended = piece->empty();
  }
  if (ended && word_of(held) == Word::kNeedsPrefill) co_return false;
  const Begun begun{.bytes = held, .ended = ended};
  co_await relay(response, begun);
  co_return true;
}

}  // namespace llmd::sidecar
