#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace llmd {

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

Tokenizer::Tokenizer(std::shared_ptr<const llamacpp::Model> model,
                     std::shared_ptr<const llamacpp::ChatTemplate> chat_template)
    : model_{std::move(model)}, vocab_{model_}, chat_template_{std::move(chat_template)} {}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const TokenizerOptions& options) {
  LLMD_TRY(std::shared_ptr<const llamacpp::Model> model,
           llamacpp::Model::load({.path = options.model_path, .vocab_only = true}));
  return from_model(std::move(model), options.chat_template);
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_model(std::shared_ptr<const llamacpp::Model> model,
                                                               const std::string& chat_template) {
  LLMD_TRY(std::shared_ptr<const llamacpp::ChatTemplate> loaded, llamacpp::ChatTemplate::load(model, chat_template));
  return std::shared_ptr<const Tokenizer>{new Tokenizer{std::move(model), std::move(loaded)}};
}

}  // namespace llmd
