#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "runtime/event.h"
#include "runtime/loop.h"

namespace llmd::net {

using Endpoint = asio::generic::stream_protocol::endpoint;

/// One look-up of an address. Unix paths and numeric hosts are there at once; names are looked up on a thread that Asio
/// keeps for it, so a slow name server delays only this. May be abandoned at any time. Belongs to one loop.
struct Resolution {
  explicit Resolution(Loop& loop) : done{loop} {}
  [[nodiscard]] static std::shared_ptr<Resolution> start(Loop& loop, const Address& address);

  Event done;  // the two below are final
  std::vector<Endpoint> endpoints;
  boost::system::error_code error;
};

}  // namespace llmd::net
