#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/endpoint.h"

namespace llmd::routing {

/// "ip:port" of an endpoint's URL (an IPv6 address in brackets), as Envoy names endpoints. Empty: it is a unix socket.
[[nodiscard]] std::string_view authority_of(const Endpoint& endpoint) noexcept;

/// Marks, one an endpoint in the snapshot's order, those that a subset names. An entry that is some endpoint's address
/// and port means that one; any other means all endpoints on its address, whatever their ports: a gateway may name the
/// port of a service. (llm-d looks at the address alone, and so takes any rank of a data-parallel pod.)
void mark_subset(const EndpointSnapshot& snapshot, const std::vector<std::string_view>& subset,
                 std::vector<std::uint8_t>& marks);

}  // namespace llmd::routing
