#pragma once

#include <cstddef>
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

/// Text to tokens, chats to prompts. Immutable, thread-safe. Two kinds: of a GGUF (load, from_model), and without any
/// model (make_byte_tokenizer).
class Tokenizer {
 public:
  /// Reads the vocabulary only (tens of MB of memory, no weights). Errors as llamacpp::Model::load. Encoding costs
  /// about 1 us a token, rendering a plain chat some tens of us.
  [[nodiscard]] static Result<std::shared_ptr<const Tokenizer>> load(const TokenizerOptions& options);
  /// On a model that is loaded already.
  [[nodiscard]] static Result<std::shared_ptr<const Tokenizer>> from_model(std::shared_ptr<const llamacpp::Model> model,
                                                                           const std::string& chat_template = {});

  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text, llamacpp::EncodeOptions options) const = 0;
  /// The bytes of one token; may be a part of a character. Special tokens are empty unless `special`.
  [[nodiscard]] virtual std::string piece(TokenId token, bool special) const = 0;
  [[nodiscard]] virtual std::string decode(const std::vector<TokenId>& tokens, bool special) const = 0;
  /// Every valid id is below it.
  [[nodiscard]] virtual TokenId size() const noexcept = 0;
  [[nodiscard]] virtual bool is_valid(TokenId token) const noexcept = 0;
  /// The longest piece.
  [[nodiscard]] virtual std::size_t token_bytes_max() const = 0;
  /// Two tokenizers with the same number cut text alike.
  [[nodiscard]] virtual std::uint64_t vocabulary() const noexcept = 0;
  /// Fill-in-the-middle tokens, if the model has them (for `suffix`).
  [[nodiscard]] virtual bool has_infill() const noexcept = 0;
  [[nodiscard]] virtual std::vector<TokenId> infill(std::string_view prefix, std::string_view suffix) const = 0;

  /// Errors as ChatTemplate::render.
  [[nodiscard]] virtual Result<llamacpp::RenderedChat> render(const llamacpp::ChatRequest& request) const = 0;
  /// The prompt tokens of a rendered chat.
  [[nodiscard]] std::vector<TokenId> encode(const llamacpp::RenderedChat& chat) const {
    return encode(chat.prompt, {.add_special = chat.add_special, .parse_special = true});
  }
};

}  // namespace llmd
