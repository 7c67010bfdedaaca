#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduling/config.h"

namespace llmd::routing {

/// The value of a request's header; its name is in lower case.
using HeaderReader = std::function<std::optional<std::string_view>(std::string_view name)>;

/// The headers, in lower case and in order, that name a request's session for the agent-identity plugin; empty if it is
/// not configured.
[[nodiscard]] std::vector<std::string> session_headers(const scheduling::SchedulingConfig& config);

/// The flow of a request: what its client says (x-llm-d-inference-fairness-id, else its older name), else the first of
/// the session headers that is there; else flow::kDefaultFairnessId. At most 256 bytes of it, cut between characters;
/// what is no UTF-8 becomes '?', as the id is a label of metrics.
[[nodiscard]] std::string fairness_id_of(const HeaderReader& header, std::span<const std::string> session_headers);
/// The session of a request, by x-session-id or a header that agent-identity knows by itself; in the same form. Empty:
/// it names none.
[[nodiscard]] std::string session_id_of(const HeaderReader& header);

}  // namespace llmd::routing
