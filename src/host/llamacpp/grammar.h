#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/ids.h"
#include "llamacpp/model.h"
#include "model/generation.h"

namespace llmd::llamacpp {

/// A token that may come next.
struct Candidate {
  TokenId token = 0;
  float logit = 0;
};

/// A grammar and how far one output has come in it. One object a sequence; not thread-safe.
/// allows() costs microseconds, mask() over a vocabulary of 50,000 some milliseconds: sample first, ask allows(), and
/// mask only if it says no.
class Grammar {
 public:
  /// Pre: !spec.gbnf.empty(). Error kInvalidGrammar: it does not compile, or is beyond the limits of input_limits.h.
  [[nodiscard]] static Result<std::unique_ptr<Grammar>> make(std::shared_ptr<const Model> model,
                                                             const GrammarSpec& spec);
  ~Grammar();
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  [[nodiscard]] bool allows(TokenId token) const;
  /// Sets the logit of every token that may not come next to minus infinity.
  void mask(std::span<Candidate> candidates) const;
  /// The output went on with `token`. Pre: allows(token). Errors: kInvalidGrammar if too many parses are alive.
  [[nodiscard]] Result<void> accept(TokenId token);

 private:
  struct Impl;
  explicit Grammar(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd::llamacpp
