#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace llmd {
namespace {

/// The vocabulary and chat template of one GGUF.
class ModelTokenizer final : public Tokenizer {
 public:
  ModelTokenizer(std::shared_ptr<const llamacpp::Model> model,
                 std::shared_ptr<const llamacpp::ChatTemplate> chat_template)
      : model_{std::move(model)}, vocab_{model_}, chat_template_{std::move(chat_template)} {}

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, llamacpp::EncodeOptions options) const override {
    return vocab_.encode(text, options);
  }
  [[nodiscard]] std::string piece(TokenId token, bool special) const override { return vocab_.piece(token, special); }
  [[nodiscard]] std::string decode(const std::vector<TokenId>& tokens, bool special) const override {
    return vocab_.decode(tokens, special);
  }
  [[nodiscard]] TokenId size() const noexcept override { return vocab_.size(); }
  [[nodiscard]] bool is_valid(TokenId token) const noexcept override { return vocab_.is_valid(token); }
  [[nodiscard]] std::size_t token_bytes_max() const override {
    std::size_t longest = 1;
    for (TokenId token = 0; token < vocab_.size(); ++token)
      longest = std::max(longest, vocab_.piece(token, true).size());
    return longest;
  }
  [[nodiscard]] std::uint64_t vocabulary() const noexcept override {
    std::uint64_t number = 0;
    std::memcpy(&number, model_->info().fingerprint.data(), sizeof number);
    return number;
  }
  [[nodiscard]] bool has_infill() const noexcept override { return vocab_.has_infill(); }
  [[nodiscard]] std::vector<TokenId> infill(std::string_view prefix, std::string_view suffix) const override {
    return vocab_.infill(prefix, suffix);
  }
  [[nodiscard]] Result<llamacpp::RenderedChat> render(const llamacpp::ChatRequest& request) const override {
    return chat_template_->render(request);
  }

 private:
  std::shared_ptr<const llamacpp::Model> model_;
  llamacpp::Vocab vocab_;
  std::shared_ptr<const llamacpp::ChatTemplate> chat_template_;
};

}  // namespace

Result<std::string> read_chat_template(const std::string& path) {
  constexpr std::size_t kTemplateBytesMax = 1U << 20U;
  if (path.empty()) return std::string{};
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    return fail(ErrorCode::kFileNotFound, fmt::format("--chat-template {} cannot be read", path),
                "give the path of a Jinja file");
  }
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (text.empty() || text.size() > kTemplateBytesMax) {
    return fail(ErrorCode::kFileInvalid,
                fmt::format("--chat-template {} has {} bytes; expected 1 to {}", path, text.size(), kTemplateBytesMax));
  }
  return text;
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const TokenizerOptions& options) {
  LLMD_TRY(std::shared_ptr<const llamacpp::Model> model,
           llamacpp::Model::load({.path = options.model_path, .vocab_only = true}));
  return from_model(std::move(model), options.chat_template);
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_model(std::shared_ptr<const llamacpp::Model> model,
                                                               const std::string& chat_template) {
  LLMD_TRY(std::shared_ptr<const llamacpp::ChatTemplate> loaded, llamacpp::ChatTemplate::load(model, chat_template));
  return std::make_shared<const ModelTokenizer>(std::move(model), std::move(loaded));
}

}  // namespace llmd
