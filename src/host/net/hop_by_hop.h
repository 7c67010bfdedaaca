#pragma once

#include <string_view>

#include "net/http.h"

namespace llmd::net {

/// Fields by which a message's framing and its two neighbours are described: they end at each hop (RFC 9110 §7.6.1),
/// and Host, Content-Length and Expect, which the next hop gets anew.
[[nodiscard]] bool is_hop_by_hop(std::string_view name) noexcept;

/// Whether a Connection field, `connection`, names `name` as ending at this hop.
[[nodiscard]] bool is_named_by(std::string_view connection, std::string_view name) noexcept;

/// The fields that go on to the next hop.
[[nodiscard]] Headers end_to_end(const Headers& headers);

}  // namespace llmd::net
