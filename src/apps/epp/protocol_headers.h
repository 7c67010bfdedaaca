#pragma once

#include <string_view>

namespace llmd::epp {

/// Names of llm-d's endpoint picker protocol (llm-d-router: pkg/epp/metadata/consts.go; Gateway API Inference
/// Extension, proposal 004). All in lower case.
inline constexpr std::string_view kDestinationHeader = "x-gateway-destination-endpoint";
inline constexpr std::string_view kDroppedReasonHeader = "x-llm-d-request-dropped-reason";
inline constexpr std::string_view kRequestIdHeader = "x-request-id";
inline constexpr std::string_view kTraceparentHeader = "traceparent";  // W3C Trace Context
inline constexpr std::string_view kTracestateHeader = "tracestate";
inline constexpr std::string_view kPrefillerHeader = "x-prefiller-host-port";
inline constexpr std::string_view kEncodersHeader = "x-encoder-hosts-ports";
inline constexpr std::string_view kDataParallelHeader = "x-data-parallel-host-port";
inline constexpr std::string_view kKvSourceHeader = "x-kv-cache-source-host-port";
inline constexpr std::string_view kModelRewriteHeaders[] = {"x-llm-d-model-name-rewrite",
                                                            "x-gateway-model-name-rewrite"};  // the first counts
inline constexpr std::string_view kObjectiveHeaders[] = {"x-llm-d-inference-objective",
                                                         "x-gateway-inference-objective"};  // the same

/// Whether the header is between the picker and its proxy only: it is not repeated to the endpoint or to the client.
[[nodiscard]] bool is_system_owned(std::string_view name) noexcept;

/// Whether endpoints and sidecars are steered by it: a client's is removed (design principle 8).
[[nodiscard]] bool steers_endpoints(std::string_view name) noexcept;

/// Whether a `prefer` header (RFC 7240) asks that only an endpoint which has some of the prompt cached serves.
[[nodiscard]] bool prefers_if_available(std::string_view prefer) noexcept;

}  // namespace llmd::epp
