#include "llamacpp/vocab.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "llama.h"

namespace llmd::llamacpp {
namespace {

const llama_vocab* vocab_of(const Model& model) { return llama_model_get_vocab(model.raw()); }

}  // namespace

Vocab::Vocab(std::shared_ptr<const Model> model) : model_{std::move(model)} {}

std::vector<TokenId> Vocab::encode(std::string_view text, EncodeOptions options) const {
  // A token has at least one byte in every vocabulary; specials and a leading space come on top.
  std::vector<TokenId> tokens(text.size() + 8);
  const auto length = static_cast<std::int32_t>(std::min<std::size_t>(text.size(), INT32_MAX));
  int count = llama_tokenize(vocab_of(*model_), text.data(), length, tokens.data(), static_cast<int>(tokens.size()),
                             options.add_special, options.parse_special);
  if (count < 0 && count != INT32_MIN) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = llama_tokenize(vocab_of(*model_), text.data(), length, tokens.data(), static_cast<int>(tokens.size()),
                           options.add_special, options.parse_special);
  }
  tokens.resize(static_cast<std::size_t>(std::max(0, count)));
  return tokens;
}

std::string Vocab::piece(TokenId token, bool special) const {
  if (!is_valid(token)) return {};
  std::array<char, 64> small{};
  const int length = llama_token_to_piece(vocab_of(*model_), token, small.data(), small.size(), 0, special);
  if (length >= 0) return std::string{small.data(), static_cast<std::size_t>(length)};
  std::string large(static_cast<std::size_t>(-length), '\0');
  const int written = llama_token_to_piece(vocab_of(*model_), token, large.data(), -length, 0, special);
  large.resize(static_cast<std::size_t>(std::max(0, written)));
  return large;
}

std::string Vocab::decode(const std::vector<TokenId>& tokens, bool special) const {
  std::string text;
  for (const TokenId token : tokens) text += piece(token, special);
  return text;
}

bool Vocab::is_end_of_generation(TokenId token) const {
  return is_valid(token) && llama_vocab_is_eog(vocab_of(*model_), token);
}

bool Vocab::is_valid(TokenId token) const noexcept { return token >= 0 && token < size(); }

std::int32_t Vocab::size() const noexcept { return llama_vocab_n_tokens(vocab_of(*model_)); }

bool Vocab::has_infill() const noexcept {
  const llama_vocab* vocab = vocab_of(*model_);
  return llama_vocab_fim_pre(vocab) >= 0 && llama_vocab_fim_suf(vocab) >= 0 && llama_vocab_fim_mid(vocab) >= 0;
}

std::vector<TokenId> Vocab::infill(std::string_view prefix, std::string_view suffix) const {
  if (!has_infill()) return {};
  const llama_vocab* vocab = vocab_of(*model_);
  std::vector<TokenId> tokens;
  if (llama_vocab_get_add_bos(vocab)) tokens.push_back(llama_vocab_bos(vocab));
  const auto append = [&](TokenId marker, std::string_view text) {
    tokens.push_back(marker);
    const std::vector<TokenId> part = encode(text, {.add_special = false});
    tokens.insert(tokens.end(), part.begin(), part.end());
  };
  append(llama_vocab_fim_pre(vocab), prefix);
  append(llama_vocab_fim_suf(vocab), suffix);
  tokens.push_back(llama_vocab_fim_mid(vocab));
  return tokens;
}

}  // namespace llmd::llamacpp
