#include "api/conversion/chat_message_list.h"

#include <algorithm>

#include "api/openai/json_writer.h"

namespace llmd::api {

using openai::JsonWriter;

void ChatMessageList::open(std::string_view role) {
  if (role_ == role) return;
  end_message();
  role_ = role;
}

void ChatMessageList::add_member(std::string_view json) {
  if (count_++ > 0) messages_ += ',';
  messages_ += json;
}

void ChatMessageList::add_text(std::string_view role, std::string_view text) {
  if (role == "system" && size() == 0) {
    if (!system_.empty()) system_ += '\n';
    system_ += text;
    return;
  }
  open(role);
  // What stands behind calls is another message: templates put an assistant's text before its calls.
  if (!calls_.empty()) {
    end_message();
    role_ = role;
  }
  if (!parts_.empty() && !parts_.back().image) {
    parts_.back().text.append("\n").append(text);
  } else {
    parts_.push_back({.image = false, .text = std::string{text}});
  }
}

void ChatMessageList::add_image(std::string_view role, std::string_view url) {
  open(role);
  parts_.push_back({.image = true, .text = std::string{url}});
}

void ChatMessageList::add_reasoning(std::string_view text) {
  open("assistant");
  if (!parts_.empty() || !calls_.empty()) {
    end_message();
    role_ = "assistant";
  }
  if (!reasoning_.empty()) reasoning_ += '\n';
  reasoning_ += text;
}

void ChatMessageList::add_tool_call(std::string_view id, std::string_view name, std::string_view arguments) {
  open("assistant");
  if (!calls_.empty()) calls_ += ',';
  JsonWriter json{calls_};
  json.begin_object().key("id").string(id).key("type").string("function");
  json.key("function").begin_object().key("name").string(name).key("arguments").string(arguments);
  json.end_object().end_object();
}

void ChatMessageList::add_tool_result(std::string_view call_id, std::string_view text) {
  end_message();
  std::string message;
  JsonWriter json{message};
  json.begin_object().key("role").string("tool").key("tool_call_id").string(call_id);
  json.key("content").string(text).end_object();
  add_member(message);
}

void ChatMessageList::end_message() {
  if (role_.empty()) return;
  std::string message;
  JsonWriter json{message};
  json.begin_object().key("role").string(role_).key("content");
  const bool has_image = std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.image; });
  if (!has_image) {
    json.string(parts_.empty() ? std::string_view{} : std::string_view{parts_.front().text});
  } else {
    json.begin_array();
    for (const Part& part : parts_) {
      json.begin_object().key("type").string(part.image ? "image_url" : "text");
      if (part.image) {
        json.key("image_url").begin_object().key("url").string(part.text).end_object();
      } else {
        json.key("text").string(part.text);
      }
      json.end_object();
    }
    json.end_array();
  }
  if (!reasoning_.empty()) json.key("reasoning_content").string(reasoning_);
  if (!calls_.empty()) json.key("tool_calls").begin_array().raw(calls_).end_array();
  json.end_object();
  add_member(message);
  role_ = {};
  parts_.clear();
  reasoning_.clear();
  calls_.clear();
}

std::string ChatMessageList::finish(std::string_view system) {
  end_message();
  std::string out;
  JsonWriter json{out};
  json.begin_array();
  std::string joined{system};
  if (!joined.empty() && !system_.empty()) joined += '\n';
  joined += system_;
  if (!joined.empty()) json.begin_object().key("role").string("system").key("content").string(joined).end_object();
  if (count_ > 0) json.raw(messages_);
  json.end_array();
  return out;
}

}  // namespace llmd::api
