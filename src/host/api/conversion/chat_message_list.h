#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llmd::api {

/// Puts together the messages of a chat request from the pieces of another API's turns: a turn may become several
/// messages, and several pieces one message. Texts of one message are joined by line breaks, so that templates which
/// know only strings see all of them. System texts before all else are one system message, as most templates want it.
class ChatMessageList {
 public:
  /// `role`: static text. Begins a message, if the one under way is of another role.
  void add_text(std::string_view role, std::string_view text);
  void add_image(std::string_view role, std::string_view url);
  void add_reasoning(std::string_view text);  // the assistant's
  /// The assistant's; `arguments`: JSON text.
  void add_tool_call(std::string_view id, std::string_view name, std::string_view arguments);
  void add_tool_result(std::string_view call_id, std::string_view text);
  /// What comes next is another message, whatever its role is.
  void end_message();

  [[nodiscard]] std::size_t size() const noexcept { return count_ + (role_.empty() ? 0 : 1); }
  /// Whether the last message is the begin of an answer: text of the assistant's alone.
  [[nodiscard]] bool ends_with_answer_begun() const noexcept {
    return role_ == "assistant" && !parts_.empty() && reasoning_.empty() && calls_.empty();
  }
  /// The JSON array, behind a system message if that is not empty. Ends the last message.
  [[nodiscard]] std::string finish(std::string_view system);

 private:
  struct Part {
    bool image = false;
    std::string text;  // or the image's URL
  };
  void open(std::string_view role);
  void add_member(std::string_view json);

  std::string system_;    // before the first message
  std::string messages_;  // JSON objects with commas between
  std::size_t count_ = 0;
  std::string_view role_;  // of the message under way; empty: none
  std::vector<Part> parts_;
  std::string reasoning_;
  std::string calls_;  // JSON objects with commas between
};

}  // namespace llmd::api
