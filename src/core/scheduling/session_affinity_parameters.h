#pragma once

#include <array>
#include <string_view>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

// What session-affinity-scorer and session-affinity-filter take.

inline constexpr std::string_view kSessionByToken = "encoded_endpoint_header";
inline constexpr std::string_view kSessionTokenHeader = "x-session-token";
inline constexpr std::string_view kSessionSources = "sessionIdConfig.sources";
inline constexpr std::string_view kSessionTtl = "sessionIdConfig.evictionTtlSeconds";
inline constexpr double kSessionTtlSeconds = 300;

inline constexpr std::array<std::string_view, 2> kSessionStrategies{kSessionByToken, "session_id"};
inline constexpr std::array kSessionSourceFields{
    ParameterSpec{.name = "header", .type = ParameterType::kText, .help = "a request header that holds the id"},
    ParameterSpec{.name = "attribute",
                  .type = ParameterType::kText,
                  .help = "instead of a header: agent-identity, or SessionIDDataKey with its producer"},
    ParameterSpec{.name = "producer",
                  .type = ParameterType::kText,
                  .help = "the session-id-producer of the attribute SessionIDDataKey"},
};
inline constexpr std::array kSessionAffinityParameters{
    ParameterSpec{.name = "strategy",
                  .type = ParameterType::kText,
                  .text = kSessionByToken,
                  .choices = kSessionStrategies,
                  .help = "the answer names the endpoint, or the request names its session"},
    ParameterSpec{.name = "profileName",
                  .type = ParameterType::kText,
                  .help = "the profile whose endpoint is kept; empty: the one that answers"},
    ParameterSpec{.name = "encodedEndpointHeaderConfig.header",
                  .type = ParameterType::kText,
                  .text = kSessionTokenHeader,
                  .help = "the header of answers and requests that names the endpoint"},
    ParameterSpec{.name = kSessionSources,
                  .type = ParameterType::kObjectList,
                  .help = "where requests name their session, the first that does counts; none: header x-session-id",
                  .fields = kSessionSourceFields},
    ParameterSpec{.name = kSessionTtl,
                  .type = ParameterType::kNumber,
                  .number = kSessionTtlSeconds,
                  .max = 1e9,
                  .help = "a session that was not used for so long is forgotten; 0: 300, as in llm-d"},
    ParameterSpec{.name = "sessionIdConfig.evictionSweepSeconds",
                  .type = ParameterType::kNumber,
                  .number = 10,
                  .max = 1e9,
                  .help = "sessions are looked over when others are used",
                  .support = Support::kNoEffect},
};

}  // namespace llmd::scheduling
