#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmd::llamacpp {

/// Reads {"name": NAME, "arguments": VALUE} as it comes: the name once it is whole, then the arguments' JSON as far as
/// it came, without the white space between its parts. One object a call; pure; not thread-safe.
class ToolCallReader {
 public:
  struct Step {
    std::string name;       // once, when it is whole
    std::string arguments;  // what is new
  };
  /// Takes text up to the end of the object and adds to `step`. Returns the bytes taken: all, unless the object ended
  /// in them or is none.
  [[nodiscard]] std::size_t feed(std::string_view text, Step& step);

  [[nodiscard]] bool named() const noexcept { return named_; }
  /// Nothing more is taken: the object has ended, or is not of this form.
  [[nodiscard]] bool ended() const noexcept { return state_ == State::kEnded; }
  /// All text taken before the name was whole: what to show if it is no call.
  [[nodiscard]] const std::string& beginning() const noexcept { return beginning_; }

 private:
  enum class State : std::uint8_t { kBeforeName, kName, kBeforeArguments, kArguments, kAfterArguments, kEnded };
  void read(char c, Step& step);
  void match(char c, std::string_view expected, State then);
  void read_name(char c, Step& step);
  void read_arguments(char c, Step& step);

  State state_ = State::kBeforeName;
  std::size_t matched_ = 0;  // of what is expected before the name or the arguments
  std::string beginning_;
  std::string name_;
  bool named_ = false;
  std::size_t depth_ = 0;  // of objects and arrays inside the arguments
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace llmd::llamacpp
