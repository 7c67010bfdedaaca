#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace llmd::chat {

struct Settings {
  std::string model = "default";
  std::string system;            // empty: no system message
  double temperature = 0.5;      // OpenAI's 1 samples the whole tail, which small models fill with nonsense
  std::uint32_t max_tokens = 0;  // 0: the server's
  std::string api_key;
};

/// What was said so far, and the next question to a server. Blocks; one thread.
class Conversation {
 public:
  Conversation(net::Address server, Settings settings);

  /// Asks, and calls `on_text` with the pieces of the answer as they come. The two are remembered only if the answer is
  /// complete. Errors: of the connection; those of the server by their message (kUpstreamFailed); kProtocol.
  [[nodiscard]] Result<void> ask(std::string_view question, const std::function<void(std::string_view)>& on_text);

  [[nodiscard]] std::size_t turns() const noexcept { return turns_.size(); }

 private:
  [[nodiscard]] std::string request_body(std::string_view question) const;

  const net::Address server_;
  const Settings settings_;
  std::vector<std::pair<std::string, std::string>> turns_;  // question and answer
};

/// The text that one event of a stream adds; no value for [DONE]. Errors: kUpstreamFailed with the server's message,
/// kProtocol.
[[nodiscard]] Result<std::optional<std::string>> text_of_event(std::string_view data);

}  // namespace llmd::chat
