#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "api/conversion/dialect.h"
#include "model/endpoint.h"

namespace llmd::dispatch {

/// The label by which an operator says which APIs beside chat completions an endpoint speaks itself: "messages",
/// "responses", both with a comma, or "none". Without it the engine decides.
inline constexpr std::string_view kNativeApisLabel = "llmd.ai/native-apis";

/// Which endpoints are sent requests of Anthropic's and OpenAI's newer APIs as they came; to the others they go as chat
/// completions. By the label, else by the engine, else not; and an engine of an older version, which answers that it
/// has no such path, is remembered. One object a loop; not thread-safe.
class SpokenApis {
 public:
  /// `engine`: as pool::Pool::engine_of() tells.
  [[nodiscard]] bool speaks(const Endpoint& endpoint, std::string_view engine, api::Dialect dialect) const;
  /// The endpoint has no such path.
  void lacks(const Endpoint& endpoint, api::Dialect dialect);

 private:
  static constexpr std::size_t kRememberedMax = 8'192;  // beyond it all are forgotten, and asked again
  std::set<std::pair<std::string, api::Dialect>> lacking_;
};

}  // namespace llmd::dispatch
