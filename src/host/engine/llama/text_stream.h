#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmd::engine {

/// Turns the bytes of tokens into text that may be shown: whole UTF-8 characters only (what is not UTF-8 becomes
/// U+FFFD), and nothing of a stop string, not even its beginning while it may still become one. Holds back less than
/// the longest stop string plus one character. Pure; not thread-safe.
class TextStream {
 public:
  explicit TextStream(std::vector<std::string> stops);

  /// At most one token's text: what was held back comes in as many pieces as it had tokens. A character that several
  /// tokens make belongs to the last of them.
  struct Piece {
    std::string text;
    std::size_t bytes = 0;  // of what was added that `text` shows
  };
  struct Shown {
    std::vector<Piece> pieces;        // none is empty
    std::optional<std::size_t> stop;  // index of the stop string that was reached; nothing may be added after it
  };
  /// One token's bytes.
  [[nodiscard]] Shown add(std::string_view bytes);
  /// The end: what was held back.
  [[nodiscard]] std::vector<Piece> finish();

  [[nodiscard]] const std::vector<std::string>& stops() const noexcept { return stops_; }

 private:
  [[nodiscard]] std::size_t possible_stop_bytes() const noexcept;
  [[nodiscard]] std::vector<Piece> show(std::size_t bytes);
  std::vector<std::string> stops_;
  std::size_t stop_bytes_max_ = 0;
  std::string held_;
  std::deque<std::size_t> token_bytes_;  // of the tokens in `held_`, oldest first; the sum is its size
};

/// Bytes at the end of `text` that begin a character and wait for the rest of it: 0 to 3.
[[nodiscard]] std::size_t incomplete_utf8_bytes(std::string_view text) noexcept;

/// `text` with every byte that is not part of a valid UTF-8 character replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace llmd::engine
