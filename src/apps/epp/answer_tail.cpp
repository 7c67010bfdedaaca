#include "apps/epp/answer_tail.h"

#include <algorithm>

namespace llmd::epp {

void AnswerTail::feed(std::string_view piece) {
  bytes_ += piece.size();
  for (std::size_t at = piece.find("data:"); at != std::string_view::npos; at = piece.find("data:", at + 5)) ++events_;
  if (head_.size() < kHead) head_.append(piece.substr(0, kHead - head_.size()));
  if (piece.size() >= kTail) {
    tail_.assign(piece.substr(piece.size() - kTail));
    return;
  }
  if (tail_.size() + piece.size() > 2 * kTail) tail_.erase(0, tail_.size() - kTail);
  tail_.append(piece);
}

std::optional<openai::AnswerUsage> AnswerTail::usage() const {
  if (auto found = openai::find_usage(tail_)) return found;
  return openai::find_usage(head_);
}

}  // namespace llmd::epp
