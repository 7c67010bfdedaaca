#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "llamacpp/model.h"

namespace llmd::llamacpp {

struct EncodeOptions {
  bool add_special = true;     // BOS/EOS as the model wants them
  bool parse_special = false;  // text such as <|im_start|> becomes the special token
};

/// Text to tokens and back. Immutable, thread-safe.
class Vocab {
 public:
  explicit Vocab(std::shared_ptr<const Model> model);

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const;
  /// The bytes of one token; may be a part of a character. Special tokens are empty unless `special`.
  [[nodiscard]] std::string piece(TokenId token, bool special) const;
  [[nodiscard]] std::string decode(const std::vector<TokenId>& tokens, bool special) const;
  [[nodiscard]] bool is_end_of_generation(TokenId token) const;
  [[nodiscard]] bool is_valid(TokenId token) const noexcept;
  [[nodiscard]] std::int32_t size() const noexcept;
  /// Fill-in-the-middle tokens, if the model has them (for `suffix`).
  [[nodiscard]] bool has_infill() const noexcept;
  [[nodiscard]] std::vector<TokenId> infill(std::string_view prefix, std::string_view suffix) const;

 private:
  std::shared_ptr<const Model> model_;
};

}  // namespace llmd::llamacpp
