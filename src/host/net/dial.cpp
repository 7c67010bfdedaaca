#include "net/dial.h"

#include <fmt/format.h>
#include <netinet/tcp.h>

#include <boost/asio/ip/tcp.hpp>
#include <utility>

namespace llmd::net {

Error wait_failure(const Address& address, const Stream* stream, bool cancelled, std::string_view wait,
                   milliseconds limit) {
  if (cancelled)
    return {.code = ErrorCode::kCancelled, .what = fmt::format("{}: cancelled in {}", address.to_string(), wait)};
  if (stream != nullptr && stream->interrupted() == Stream::Interrupt::kExpired) {
    return {.code = ErrorCode::kDeadlineExceeded,
            .what = fmt::format("{}: {} took longer than {} ms", address.to_string(), wait, limit.count())};
  }
  return {.code = ErrorCode::kConnectionClosed,
          .what = fmt::format("{}: the connection was closed in {}", address.to_string(), wait)};
}

Error Dial::failure(std::string_view wait) const {
  return wait_failure(address_, stream_.get(), cancelled_, wait, options_.timeout);
}

void Dial::cancel() {
  cancelled_ = true;
  if (resolution_) resolution_->done.set();
  if (stream_) stream_->interrupt(Stream::Interrupt::kCancelled);
}

Task<Result<std::shared_ptr<Stream>>> Dial::run() {
  if (address_.tls && !options_.tls)
    co_return fail(ErrorCode::kAddressInvalid, fmt::format("{}: TLS is not spoken here", address_.to_string()));
  const TimePoint deadline = SteadyClock::now() + options_.timeout;
  resolution_ = Resolution::start(loop_, address_);
  const std::shared_ptr<Resolution> resolution = resolution_;
  const bool resolved = co_await resolution->done.wait_until(deadline);
  resolution_ = nullptr;
  if (cancelled_) co_return std::unexpected(failure("the look-up of the host"));
  if (!resolved) {
    co_return fail(ErrorCode::kDeadlineExceeded, fmt::format("{}: the look-up of the host took longer than {} ms",
                                                             address_.to_string(), options_.timeout.count()));
  }
  std::string reason = resolution->error ? resolution->error.message() : "the host has no address";
  for (const Endpoint& endpoint : resolution->endpoints) {
    stream_ = options_.make();
    boost::system::error_code error;
    stream_->socket().open(endpoint.protocol(), error);
    stream_->set_deadline(deadline);
    auto connected = co_await stream_->connect(endpoint);
    if (connected) {
      if (!address_.is_unix()) stream_->socket().set_option(asio::ip::tcp::no_delay{true}, error);
      Result<void> begun;
      if (address_.tls) begun = co_await start_tls();
      const std::shared_ptr<Stream> made = std::exchange(stream_, nullptr);
      if (begun) co_return made;
      options_.drop(made);
      co_return std::unexpected(std::move(begun).error());
    }
    const bool refused = connected.error().code == ErrorCode::kConnectionRefused;
    Error failed = failure("connecting");
    options_.drop(std::exchange(stream_, nullptr));
    if (!refused) co_return std::unexpected(std::move(failed));
    reason = connected.error().what;
  }
  co_return fail(ErrorCode::kConnectionRefused, fmt::format("cannot connect to {}: {}", address_.to_string(), reason),
                 "is the server running there?");
}

Task<Result<void>> Dial::start_tls() {
  auto session = options_.tls->session(options_.protocol, address_.host);
  auto done = co_await stream_->handshake(std::move(session));
  if (done) co_return Result<void>{};
  if (stream_->interrupted() != Stream::Interrupt::kNone) co_return std::unexpected(failure("the TLS handshake"));
  co_return fail(ErrorCode::kProtocol, fmt::format("{}: {}", address_.to_string(), done.error().what));
}

}  // namespace llmd::net
