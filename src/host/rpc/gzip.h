#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::rpc {

/// What gzip (RFC 1952, one member) has made small. Ends as soon as it is more than `bytes_max`. Errors: kBodyTooLarge,
/// kProtocol (damaged, cut, or more after it).
[[nodiscard]] Result<std::string> inflate_gzip(std::string_view bytes, std::size_t bytes_max);

}  // namespace llmd::rpc
