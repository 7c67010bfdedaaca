#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "model/generation.h"

namespace llmd::engine {

/// Keeps the logprobs of tokens until the answer's text covers them: nothing is told of text that is held back, and
/// nothing ever of text from a stop string on. Beside a TextStream, which says how many bytes are shown. Holds what the
/// TextStream holds: less than the longest stop string plus one character. Pure; not thread-safe.
class HeldLogprobs {
 public:
  /// A token came. Pre: its text is what it adds to the answer's, and not empty.
  void add(TokenLogprobs logprobs);

  /// So many more bytes are shown: the tokens that are now shown whole, oldest first.
  [[nodiscard]] std::vector<TokenLogprobs> show(std::size_t bytes);
  /// A stop string ends the text after so many more bytes. The token across its beginning keeps the text before it; its
  /// alternatives, which compete with the whole token, are left out. The rest is dropped.
  [[nodiscard]] std::vector<TokenLogprobs> cut(std::size_t bytes);

 private:
  std::deque<TokenLogprobs> held_;
  std::size_t shown_of_first_ = 0;  // bytes of the oldest one that are shown already
};

}  // namespace llmd::engine
