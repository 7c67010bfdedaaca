#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/openai/prompt_tokens.h"
#include "base/clock.h"
#include "base/error.h"
#include "runtime/loop.h"
#include "runtime/offload.h"
#include "telemetry/metrics.h"
#include "tokenizer/prepare.h"

namespace llmd::gateway {

/// Tokenises the prompts of requests for workers of ours, once and with the vocabulary of their own model file, so that
/// decisions rest on true tokens and the workers need not do it again. Where it cannot (still loading, a body beyond
/// `kBodyBytesMax`, a request that a worker would refuse, no thread free), it says nothing: the gateway then estimates,
/// and the worker tokenises or refuses as it would without a gateway.
///
/// Cost: 0.1 ms to render and about 0.8 us a token; bodies beyond `kInlineBytesMax` on a thread of its own, because 100
/// KB of text would hold up a loop for 25 ms. Memory: the vocabulary, some 16 MiB for 49,000 tokens.
/// Thread-safe; must outlive the loops' calls.
class PromptTokenizer {
 public:
  static constexpr std::size_t kInlineBytesMax = 4U << 10U;  // prepared on the loop, in about 1 ms
  static constexpr std::size_t kBodyBytesMax = 1U << 20U;

  /// Loads the vocabulary on a thread; a model that cannot be read leaves the gateway with estimates, and a warning.
  PromptTokenizer(TokenizerOptions options, MetricsRegistry& metrics);
  ~PromptTokenizer() = default;
  PromptTokenizer(const PromptTokenizer&) = delete;
  PromptTokenizer& operator=(const PromptTokenizer&) = delete;

  /// What is asked of it: the loop that asks, the request, and the context of the model's workers.
  struct Call {
    Loop& loop;
    std::string_view path;
    const std::string& body;
    std::uint32_t context_tokens = 0;
    TimePoint deadline{};
  };

  struct Tokens {
    std::vector<openai::PromptTokens> prompts;  // empty: estimate
    std::string field;                          // for the worker, see openai::kPromptTokensField; empty: nothing
  };
  /// For chats in any API, and text completions; other paths give nothing. Error kContextLengthExceeded, in the
  /// worker's words: no worker could serve the request.
  [[nodiscard]] Task<Result<Tokens>> read(Call call);

  /// The answer to /tokenize, /detokenize and /v1/messages/count_tokens, or the worker's error. No value: ask a worker.
  [[nodiscard]] Task<std::optional<Result<std::string>>> answer(Call call);

 private:
  void load(const TokenizerOptions& options);
  /// No value while the vocabulary is not there.
  [[nodiscard]] std::optional<PromptContext> context(const Call& call) const;
  template <class Work>
  [[nodiscard]] Task<std::invoke_result_t<Work, const std::string&>> run(const Call& call, Work work);

  std::atomic<std::shared_ptr<const PromptContext>> loaded_;
  Gauge& ready_;
  Counter& tokenised_;
  Counter& estimated_;
  Offload offload_;
  std::jthread loader_;
};

}  // namespace llmd::gateway
