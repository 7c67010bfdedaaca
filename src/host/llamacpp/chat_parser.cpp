#include <chat.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llamacpp/chat_template.h"
#include "llamacpp/parser_setup.h"
#include "llamacpp/tool_lines.h"

namespace llmd::llamacpp {
namespace {

/// A very long answer is read again only after this many new bytes: each reading starts at its beginning, and takes
/// 10 ns a byte. Until then each token's text is told when it comes.
std::size_t reread_after(std::size_t text_bytes) { return text_bytes < 65'536 ? 1 : text_bytes / 1'024; }

/// Streams through llama.cpp's parser: all of the text is parsed again, and what is new is reported.
class CommonParser {
 public:
  explicit CommonParser(const common_chat_parser_params& params) : params_{params} {}

  ChatDelta feed(std::string_view text) {
    text_ += text;
    if (text_.size() - parsed_bytes_ < reread_after(text_.size())) return {};
    return parse(/*partial=*/true);
  }

  ChatDelta finish() {
    ChatDelta delta = parse(/*partial=*/false);
    if (!failed_) return delta;
    // The output is not in the template's format. What was reported stays, the rest is content as it is.
    if (message_.empty()) delta.content = text_;
    return delta;
  }

  [[nodiscard]] bool has_tool_calls() const noexcept { return !message_.tool_calls.empty(); }

 private:
  ChatDelta parse(bool partial) {
    parsed_bytes_ = text_.size();
    ChatDelta delta;
    try {
      common_chat_msg next = common_chat_parse(text_, partial, params_);
      failed_ = false;
      if (next.empty()) return delta;
      next.set_tool_call_ids(ids_, new_tool_call_id);
      for (const common_chat_msg_diff& diff : common_chat_msg_diff::compute_diffs(message_, next)) add(diff, delta);
      message_ = std::move(next);
    } catch (const std::exception&) {
      failed_ = true;  // a partial text may not parse yet
    }
    return delta;
  }

  static void add(const common_chat_msg_diff& diff, ChatDelta& delta) {
    delta.content += diff.content_delta;
    delta.reasoning += diff.reasoning_content_delta;
    if (diff.tool_call_index == std::string::npos) return;
    delta.tool_calls.push_back({.index = diff.tool_call_index,
                                .id = diff.tool_call_delta.id,
                                .name = diff.tool_call_delta.name,
                                .arguments = diff.tool_call_delta.arguments});
  }

  const common_chat_parser_params& params_;
  std::string text_;
  std::size_t parsed_bytes_ = 0;
  bool failed_ = false;
  common_chat_msg message_;
  std::vector<std::string> ids_;
};

}  // namespace

struct ChatParser::Impl {
  std::shared_ptr<const ParserSetup> setup;
  std::unique_ptr<CommonParser> common;
  ToolLineParser lines;
};

ChatParser::ChatParser(const RenderedChat& rendered) : impl_{std::make_unique<Impl>()} {
  impl_->setup = std::static_pointer_cast<const ParserSetup>(rendered.parser);
  if (impl_->setup == nullptr) impl_->setup = std::make_shared<const ParserSetup>();
  if (impl_->setup->kind == ParserSetup::Kind::kCommon)
    impl_->common = std::make_unique<CommonParser>(impl_->setup->common);
}

ChatParser::~ChatParser() = default;

ChatDelta ChatParser::feed(std::string_view text) {
  if (impl_->common) return impl_->common->feed(text);
  if (impl_->setup->kind == ParserSetup::Kind::kToolLines) return impl_->lines.feed(text);
  return {.content = std::string{text}, .reasoning = {}, .tool_calls = {}};
}

ChatDelta ChatParser::finish() {
  if (impl_->common) return impl_->common->finish();
  return impl_->lines.finish();
}

bool ChatParser::has_tool_calls() const noexcept {
  return impl_->common ? impl_->common->has_tool_calls() : impl_->lines.calls() > 0;
}

}  // namespace llmd::llamacpp
