#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmd::api {

/// Gives an answer the model name that the client asked for: the first string at `model`, `response.model` or
/// `message.model` of a JSON answer or of the JSON in each server-sent event. All other bytes stay, also those of
/// strings that look like such a field, and whatever is no JSON. Chunks may be cut anywhere; no byte is held back. A
/// key written with escapes is not known, and a model that is no string stays. 2 GB/s up to the name, 10 behind it. One
/// object an answer, for one thread. Pre: the answer is not compressed.
class AnswerModelRewriter {
 public:
  enum class Form : std::uint8_t { kJson, kEvents };

  AnswerModelRewriter(Form form, std::string_view model);

  /// The chunk as it is to be sent on: itself if nothing in it is replaced, else a view of `scratch`, which is
  /// overwritten.
  [[nodiscard]] std::string_view rewrite(std::string_view chunk, std::string& scratch);

 private:
  enum class State : std::uint8_t {
    kLineStart,  // of events: whether the line is data is not known yet
    kOtherLine,  // of events: the rest of a line that is of no interest
    kDone,       // of JSON: the name is replaced
    kOutside,    // in JSON, outside of strings
    kKey,        // in a string that is a key of a watched object
    kString,     // in any other string
    kOldName,    // in the string that is replaced
  };
  enum class Key : std::uint8_t { kOther, kModel, kInner };

  /// Each reads on from `at` in its state, and returns where it stopped: behind what changed the state, or at the end.
  std::size_t line_start(std::string_view chunk, std::size_t at) noexcept;
  std::size_t other_line(std::string_view chunk, std::size_t at) noexcept;
  std::size_t outside(std::string_view chunk, std::size_t at) noexcept;
  std::size_t string(std::string_view chunk, std::size_t at) noexcept;
  void take_structure(char c) noexcept;
  void begin_string() noexcept;
  void end_string() noexcept;
  void end_line() noexcept;
  void begin_document() noexcept;
  [[nodiscard]] static Key known_key(std::string_view text) noexcept;
  void add_to_key(std::string_view text) noexcept;
  [[nodiscard]] bool watched() const noexcept { return depth_ > 0 && depth_ == watched_depth_; }

  static constexpr std::size_t kKeyBytesMax = 9;  // one more than the longest key that matters

  Form form_;
  std::string name_;  // as JSON
  State state_;
  std::uint64_t depth_ = 0;          // containers open
  std::uint64_t watched_depth_ = 0;  // of the innermost open object whose keys matter; 0: none
  bool key_follows_ = false;         // in the watched object: the next string is a key
  Key key_ = Key::kOther;            // in the watched object: of the value that follows
  bool done_ = false;                // the document's name is replaced
  bool escaped_ = false;             // the next character of the string is
  char key_text_[kKeyBytesMax] = {};
  std::size_t key_bytes_ = 0;   // of the key, at most kKeyBytesMax
  std::size_t line_bytes_ = 0;  // of "data:" that the line has begun with
};

}  // namespace llmd::api
