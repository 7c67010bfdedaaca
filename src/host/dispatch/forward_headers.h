#pragma once

#include <string_view>

#include "net/http.h"

namespace llmd::dispatch {

/// Fields by which the parts of the system steer each other (design principle 8). A client's are dropped.
[[nodiscard]] bool is_steering_header(std::string_view name) noexcept;

struct RequestHeaderOptions {
  std::string_view request_id;
  bool keep_authorization = false;  // false where the gateway itself asks for a key: workers need not know it
};
/// What of a client's fields an endpoint gets: all but hop-by-hop and steering ones, with our request id.
/// Accept-Encoding is dropped too, because streams are read on their way through.
[[nodiscard]] net::Headers request_headers(const net::Headers& from_client, RequestHeaderOptions options);

/// What of an endpoint's fields the client gets.
[[nodiscard]] net::Headers answer_headers(const net::Headers& from_endpoint, std::string_view request_id);

}  // namespace llmd::dispatch
