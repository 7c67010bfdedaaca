#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace llmd::explain {

using Json = nlohmann::json;

// Pieces that both reports are made of. Each throws Json::exception if a field is missing or of another kind.

[[nodiscard]] std::string text(const Json& object, const char* name);
/// "first token after 41.2 ± 6.0 ms, 8.1 ± 0.4 ms a token", or "nothing" of null.
[[nodiscard]] std::string predicted_text(const Json& predicted);
/// " (7 ms old)" or " (no fresh metric)" of what a scorer read, or nothing; `prefix` is that of the fields' names.
[[nodiscard]] std::string metric_text(const Json& part, const std::string& prefix = "");
/// At most `width` columns wide, without its beginning if need be, as names differ at their ends.
[[nodiscard]] std::string shortened(std::string_view name, std::size_t width);
/// One profile's choice: a table of its candidates, whom it filtered, who came next, whom others would have taken.
[[nodiscard]] std::string profile_text(const Json& profile);

}  // namespace llmd::explain
