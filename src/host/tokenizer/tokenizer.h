#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "llamacpp/chat_template.h"
#include "llamacpp/model.h"
#include "llamacpp/vocab.h"

namespace llmd {

struct TokenizerOptions {
  std::string model_path;     // a GGUF; only its vocabulary is read
  std::string chat_template;  // Jinja source instead of the model's own; empty for the model's
};

/// The text of a --chat-template file; empty for an empty path. Errors: kFileNotFound, kFileInvalid (empty, or beyond
/// 1 MiB).
[[nodiscard]] Result<std::string> read_chat_template(const std::string& path);

/// Text to tokens, chats to prompts: the vocabulary and chat template of one GGUF. Immutable, thread-safe.
/// Encoding costs about 1 us a token, rendering a plain chat some tens of us.
class Tokenizer {
 public:
  /// Reads the vocabulary only (tens of MB of memory, no weights). Errors as llamacpp::Model::load.
  [[nodiscard]] static Result<std::shared_ptr<const Tokenizer>> load(const TokenizerOptions& options);
  /// On a model that is loaded already.
  [[nodiscard]] static Result<std::shared_ptr<const Tokenizer>> from_model(std::shared_ptr<const llamacpp::Model> model,
                                                                           const std::string& chat_template = {});

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, llamacpp::EncodeOptions options = {}) const {
    return vocab_.encode(text, options);
  }
  [[nodiscard]] std::uint32_t count(std::string_view text) const {
    return static_cast<std::uint32_t>(encode(text).size());
  }
  [[nodiscard]] std::string decode(const std::vector<TokenId>& tokens) const { return vocab_.decode(tokens, false); }

  /// Errors as ChatTemplate::render.
  [[nodiscard]] Result<llamacpp::RenderedChat> render(const llamacpp::ChatRequest& request) const {
    return chat_template_->render(request);
  }
  /// The prompt tokens of a rendered chat.
  [[nodiscard]] std::vector<TokenId> encode(const llamacpp::RenderedChat& chat) const {
    return vocab_.encode(chat.prompt, {.add_special = chat.add_special, .parse_special = true});
  }

  [[nodiscard]] const llamacpp::Vocab& vocab() const noexcept { return vocab_; }
  [[nodiscard]] const llamacpp::ModelInfo& model_info() const noexcept { return model_->info(); }

 private:
  Tokenizer(std::shared_ptr<const llamacpp::Model> model, std::shared_ptr<const llamacpp::ChatTemplate> chat_template);

  std::shared_ptr<const llamacpp::Model> model_;
  llamacpp::Vocab vocab_;
  std::shared_ptr<const llamacpp::ChatTemplate> chat_template_;
};

}  // namespace llmd
