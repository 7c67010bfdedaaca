#include "engine/llama/held_logprobs.h"

#include <utility>

namespace llmd::engine {

void HeldLogprobs::add(TokenLogprobs logprobs) { held_.push_back(std::move(logprobs)); }

std::vector<TokenLogprobs> HeldLogprobs::show(std::size_t bytes) {
  std::vector<TokenLogprobs> whole;
  shown_of_first_ += bytes;
  while (!held_.empty() && held_.front().chosen.text.size() <= shown_of_first_) {
    shown_of_first_ -= held_.front().chosen.text.size();
    whole.push_back(std::move(held_.front()));
    held_.pop_front();
  }
  return whole;
}

std::vector<TokenLogprobs> HeldLogprobs::cut(std::size_t bytes) {
  std::vector<TokenLogprobs> whole = show(bytes);
  if (shown_of_first_ > 0 && !held_.empty()) {
    TokenLogprobs& part = whole.emplace_back(std::move(held_.front()));
    part.chosen.text.resize(shown_of_first_);
    std::erase_if(part.top, [&](const TokenLogprob& other) { return other.token != part.chosen.token; });
    for (TokenLogprob& itself : part.top) itself.text = part.chosen.text;
  }
  held_.clear();
  shown_of_first_ = 0;
  return whole;
}

}  // namespace llmd::engine
