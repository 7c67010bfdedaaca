#include "net/resolve.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace llmd::net {
namespace {

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, asio::io_context::executor_type>;

}  // namespace

std::shared_ptr<Resolution> Resolution::start(Loop& loop, const Address& address) {
  auto resolution = std::make_shared<Resolution>(loop);
  if (address.is_unix()) {
    resolution->endpoints.emplace_back(asio::local::stream_protocol::endpoint{address.unix_path});
    resolution->done.set();
    return resolution;
  }
  boost::system::error_code not_numeric;
  const auto numeric = asio::ip::make_address(address.host, not_numeric);
  if (!not_numeric) {
    resolution->endpoints.emplace_back(asio::ip::tcp::endpoint{numeric, address.port});
    resolution->done.set();
    return resolution;
  }
  auto resolver = std::make_shared<Resolver>(loop.executor());
  resolver->async_resolve(
      address.host, std::to_string(address.port), asio::ip::resolver_base::numeric_service,
      [resolution, resolver](const boost::system::error_code& error, const Resolver::results_type& results) {
        resolution->error = error;
        for (const auto& entry : results) resolution->endpoints.emplace_back(entry.endpoint());
        resolution->done.set();
      });
  return resolution;
}

}  // namespace llmd::net
