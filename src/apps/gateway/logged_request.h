#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/hash.h"
#include "model/decision.h"
#include "model/request_facts.h"

namespace llmd::gateway {

/// What the recorded log keeps of one request: nothing of its text, but what it was, where it went and what it got.
struct LoggedRequest {
  TimePoint arrived{};
  RequestFacts facts;
  std::string session;   // as its headers name it; empty: they do not
  std::string fairness;  // the same
  Outcome outcome;       // of a request that was not sent only `status`
};

/// Memory that it takes, about.
[[nodiscard]] std::size_t bytes_of(const LoggedRequest& request) noexcept;

/// Requests as lines of docs/recorded-log.md. Block, session and fairness ids are hashes under a secret salt: equal
/// where what they name is equal, in this log, and of no use to who would guess it. Not thread-safe. Cost: about 0.5 us
/// a block.
class LogLines {
 public:
  LogLines(const Digest256& salt, TimePoint began) noexcept : salt_{salt}, began_{began} {}

  /// Appends the line and its end.
  void append(const LoggedRequest& request, std::string& out);

 private:
  /// Where a prompt's blocks of so many tokens are in its chain of hashes.
  struct Chain {
    const PrefixKey& key;
    double known_tokens = 0;      // that the chain covers
    double tokens_per_token = 1;  // of the chain, for one of the engine's
  };

  /// How many of the gateway's tokens one of the engine's is, of a model.
  struct Ratio {
    double value = 1;
    std::uint32_t votes = 0;  // by how much those who agree outnumber the others
  };

  [[nodiscard]] double tokens_per_token(const RequestFacts& facts, std::uint32_t input_tokens);
  [[nodiscard]] Chain chain_of(const LoggedRequest& request, std::uint32_t input_tokens);
  [[nodiscard]] std::uint64_t id_of(std::string_view kind, std::string_view value) const;
  [[nodiscard]] std::uint64_t block_id(const Chain& chain, std::uint64_t end_tokens);

  Digest256 salt_;
  TimePoint began_;
  std::map<std::string, Ratio, std::less<>> ratios_;  // of models whose tokens are estimated
  std::uint64_t lines_ = 0;
};

}  // namespace llmd::gateway
