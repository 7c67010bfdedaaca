#include "api/anthropic/message_blocks.h"

#include <fmt/format.h>

#include <utility>

#include "api/openai/limits.h"

namespace llmd::anthropic {
namespace {

using openai::Array;
using openai::bad_field;
using openai::Element;
using openai::Object;
using openai::quote;

constexpr std::string_view kAccounting = "x-anthropic-billing-header:";

/// A block of a message's content while it is read.
struct Block {
  std::string field;  // "messages[0].content[1]"
  Object object;
  std::string_view type;
};

Result<Block> read_block(std::string field, Element value) {
  Block block{.field = std::move(field)};
  LLMD_TRY(block.object, openai::read_object(block.field, value));
  if (block.object.at_key("type").get(block.type) != simdjson::SUCCESS)
    return bad_field(block.field + ".type", "missing or no string", "the block's type");
  return block;
}

Result<std::string_view> text_member(const Block& block, const char* name, std::size_t bytes_max) {
  const std::string field = fmt::format("{}.{}", block.field, name);
  Element value;
  if (block.object.at_key(name).get(value) != simdjson::SUCCESS) return bad_field(field, "missing", "a string");
  return openai::read_string(field, value, bytes_max);
}

std::unexpected<Error> unknown_block(const Block& block, std::string_view taken) {
  return openai::unsupported_field(
      block.field + ".type", fmt::format("{}.type is {}, which is not taken here", block.field, quote(block.type)),
      fmt::format("send blocks of type {}", taken));
}

/// The URL under which a chat request names the image.
Result<std::string> image_url(const Block& block) {
  const std::string field = block.field + ".source";
  Element value;
  if (block.object.at_key("source").get(value) != simdjson::SUCCESS) return bad_field(field, "missing", "an object");
  LLMD_TRY(const Block source, read_block(field, value));
  if (source.type == "url") {
    LLMD_TRY(const std::string_view url, text_member(source, "url", openai::kBodyBytesMax));
    return std::string{url};
  }
  if (source.type != "base64") return unknown_block(source, "base64 or url");
  LLMD_TRY(const std::string_view media, text_member(source, "media_type", openai::kNameBytesMax));
  LLMD_TRY(const std::string_view data, text_member(source, "data", openai::kBodyBytesMax));
  return fmt::format("data:{};base64,{}", media, data);
}

Result<void> add_image(const Block& block, const BlockOptions& options, api::ChatMessageList& out) {
  if (options.text_only) {
    return openai::unsupported_field(block.field + ".type",
                                     fmt::format("{}.type is \"image\"; this server takes text only", block.field),
                                     "send blocks of type text");
  }
  LLMD_TRY(const std::string url, image_url(block));
  out.add_image("user", url);
  return {};
}

/// A document that is plain text; others would have to be read by the API's own servers.
Result<void> add_document(const Block& block, api::ChatMessageList& out) {
  const std::string field = block.field + ".source";
  Element value;
  if (block.object.at_key("source").get(value) != simdjson::SUCCESS) return bad_field(field, "missing", "an object");
  LLMD_TRY(const Block source, read_block(field, value));
  if (source.type != "text") return unknown_block(source, "text");
  LLMD_TRY(const std::string_view data, text_member(source, "data", openai::kBodyBytesMax));
  out.add_text("user", data);
  return {};
}

/// The texts of a list of text blocks, joined.
Result<std::string> joined_text(const std::string& field, Element value) {
  LLMD_TRY(const Array blocks, openai::read_array(field, value));
  std::string out;
  std::size_t index = 0;
  for (const Element entry : blocks) {
    LLMD_TRY(const Block block, read_block(fmt::format("{}[{}]", field, index++), entry));
    if (block.type != "text") return unknown_block(block, "text");
    LLMD_TRY(const std::string_view piece, text_member(block, "text", openai::kBodyBytesMax));
    if (piece.starts_with(kAccounting)) continue;
    if (!out.empty()) out += '\n';
    out += piece;
  }
  return out;
}

/// What the client found, as a text with its title.
Result<void> add_search_result(const Block& block, api::ChatMessageList& out) {
  LLMD_TRY(const std::string_view title, text_member(block, "title", openai::kBodyBytesMax));
  const std::string field = block.field + ".content";
  Element content;
  if (block.object.at_key("content").get(content) != simdjson::SUCCESS)
    return bad_field(field, "missing", "an array of text blocks");
  LLMD_TRY(const std::string text, joined_text(field, content));
  out.add_text("user", fmt::format("{}\n{}", title, text));
  return {};
}

/// What a tool gave: its texts go into the chat's tool message; its images, for which that has no room, behind it.
Result<void> add_tool_result(const Block& block, const BlockOptions& options, api::ChatMessageList& out) {
  LLMD_TRY(const std::string_view id, text_member(block, "tool_use_id", openai::kNameBytesMax));
  const std::string field = block.field + ".content";
  Element value;
  const bool given = block.object.at_key("content").get(value) == simdjson::SUCCESS && !value.is_null();
  if (!given || value.is_string()) {
    std::string_view text;
    if (given) LLMD_TRY_VOID(openai::assign(text, openai::read_string(field, value, openai::kBodyBytesMax)));
    out.add_tool_result(id, text);
    return {};
  }
  LLMD_TRY(const Array parts, openai::read_array(field, value));
  std::string text;
  std::size_t index = 0;
  for (const Element entry : parts) {
    LLMD_TRY(const Block part, read_block(fmt::format("{}[{}]", field, index++), entry));
    if (part.type == "image") continue;
    if (part.type != "text") return unknown_block(part, "text or image");
    LLMD_TRY(const std::string_view piece, text_member(part, "text", openai::kBodyBytesMax));
    if (!text.empty()) text += '\n';
    text += piece;
  }
  out.add_tool_result(id, text);
  index = 0;
  for (const Element entry : parts) {
    LLMD_TRY(const Block part, read_block(fmt::format("{}[{}]", field, index++), entry));
    if (part.type == "image") LLMD_TRY_VOID(add_image(part, options, out));
  }
  return {};
}

Result<void> add_user_block(const Block& block, const BlockOptions& options, api::ChatMessageList& out) {
  if (block.type == "text") {
    LLMD_TRY(const std::string_view text, text_member(block, "text", openai::kBodyBytesMax));
    out.add_text("user", text);
    return {};
  }
  if (block.type == "image") return add_image(block, options, out);
  if (block.type == "document") return add_document(block, out);
  if (block.type == "search_result") return add_search_result(block, out);
  if (block.type == "tool_result") return add_tool_result(block, options, out);
  return unknown_block(block, "text, image, document, search_result or tool_result");
}

Result<void> add_tool_use(const Block& block, api::ChatMessageList& out) {
  LLMD_TRY(const std::string_view id, text_member(block, "id", openai::kNameBytesMax));
  LLMD_TRY(const std::string_view name, text_member(block, "name", openai::kNameBytesMax));
  const std::string field = block.field + ".input";
  Element input;
  if (block.object.at_key("input").get(input) != simdjson::SUCCESS) return bad_field(field, "missing", "an object");
  LLMD_TRY(const Object object, openai::read_object(field, input));
  static_cast<void>(object);
  out.add_tool_call(id, name, openai::to_json(input));
  return {};
}

Result<void> add_assistant_block(const Block& block, api::ChatMessageList& out) {
  if (block.type == "text") {
    LLMD_TRY(const std::string_view text, text_member(block, "text", openai::kBodyBytesMax));
    out.add_text("assistant", text);
    return {};
  }
  if (block.type == "thinking") {
    LLMD_TRY(const std::string_view text, text_member(block, "thinking", openai::kBodyBytesMax));
    out.add_reasoning(text);
    return {};
  }
  if (block.type == "redacted_thinking") return {};  // its text is nobody's but the API's own
  if (block.type == "tool_use") return add_tool_use(block, out);
  return unknown_block(block, "text, thinking or tool_use");
}

}  // namespace

Result<void> convert_message(const std::string& field, Element value, const BlockOptions& options,
                             api::ChatMessageList& out) {
  constexpr std::string_view kRoles = "user, assistant or system";
  LLMD_TRY(const Object message, openai::read_object(field, value));
  std::string_view role;
  if (message.at_key("role").get(role) != simdjson::SUCCESS)
    return bad_field(field + ".role", "missing or no string", kRoles);
  if (role != "user" && role != "assistant" && role != "system") return bad_field(field + ".role", quote(role), kRoles);
  const std::string content_field = field + ".content";
  Element content;
  if (message.at_key("content").get(content) != simdjson::SUCCESS || content.is_null())
    return bad_field(content_field, "missing", "a string or an array of blocks");
  const bool user = role == "user";
  out.end_message();
  if (role == "system") {
    LLMD_TRY(const std::string instruction, system_text(content_field, content));
    out.add_text("system", instruction);
    return {};
  }
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) {
    out.add_text(user ? "user" : "assistant", text);
    return {};
  }
  Array blocks;
  if (content.get(blocks) != simdjson::SUCCESS)
    return bad_field(content_field, openai::describe(content), "a string or an array of blocks");
  std::size_t index = 0;
  for (const Element entry : blocks) {
    LLMD_TRY(const Block block, read_block(fmt::format("{}[{}]", content_field, index++), entry));
    LLMD_TRY_VOID(user ? add_user_block(block, options, out) : add_assistant_block(block, out));
  }
  return {};
}

Result<std::string> system_text(std::string_view field, Element value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::string{text};
  if (!value.is_array()) return bad_field(field, openai::describe(value), "a string or an array of text blocks");
  return joined_text(std::string{field}, value);
}

}  // namespace llmd::anthropic
