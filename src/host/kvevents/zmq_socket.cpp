#include "kvevents/zmq_socket.h"

#include <fmt/format.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <utility>

namespace llmd::kvevents {
namespace {

constexpr std::int64_t kFrameBytesMax = 1'024;  // of what consumers send: identities, topics, numbers

int type_of(ZmqSocket::Kind kind) noexcept {
  switch (kind) {
    case ZmqSocket::Kind::kPublisher: return ZMQ_PUB;
    case ZmqSocket::Kind::kRouter: return ZMQ_ROUTER;
    case ZmqSocket::Kind::kSubscriber: return ZMQ_SUB;
    case ZmqSocket::Kind::kDealer: return ZMQ_DEALER;
  }
  return ZMQ_PUB;
}

bool is_consumer(ZmqSocket::Kind kind) noexcept {
  return kind == ZmqSocket::Kind::kSubscriber || kind == ZmqSocket::Kind::kDealer;
}

std::unexpected<Error> failed(std::string_view what, int number) {
  ErrorCode code = ErrorCode::kIo;
  if (number == EADDRINUSE) code = ErrorCode::kAddressInUse;
  if (number == EINVAL || number == ENODEV || number == EADDRNOTAVAIL) code = ErrorCode::kAddressInvalid;
  return fail(code, fmt::format("{}: {}", what, zmq_strerror(number)));
}

ZmqSocket::Sent sent(int result) noexcept {
  if (result >= 0) return ZmqSocket::Sent::kYes;
  return zmq_errno() == EAGAIN ? ZmqSocket::Sent::kFull : ZmqSocket::Sent::kNobody;
}

template <Way way>
void on_payload_free(void* /*bytes*/, void* payload) {
  static_cast<Payload*>(payload)->arrive();
  static_cast<Payload*>(payload)->leave_backlog(way);
  static_cast<Payload*>(payload)->release();
}

}  // namespace

ZmqContext::ZmqContext(std::size_t sockets_max) : handle_{zmq_ctx_new()} {
  zmq_ctx_set(handle_.get(), ZMQ_MAX_SOCKETS, static_cast<int>(sockets_max));
}

void ZmqContext::End::operator()(void* context) const noexcept { zmq_ctx_term(context); }

void ZmqSocket::End::operator()(void* socket) const noexcept { zmq_close(socket); }

Result<ZmqSocket> ZmqSocket::make(const ZmqContext& context, Kind kind, int hwm) {
  ZmqSocket socket{zmq_socket(context.handle(), type_of(kind))};
  if (socket.handle() == nullptr) return failed("a ZeroMQ socket", zmq_errno());
  const auto set = [&socket](int option, const auto& value) {
    zmq_setsockopt(socket.handle(), option, &value, sizeof value);
  };
  set(ZMQ_LINGER, 0);
  set(ZMQ_SNDHWM, hwm);
  set(ZMQ_RCVHWM, hwm);
  set(ZMQ_IPV6, 1);
  if (!is_consumer(kind)) set(ZMQ_MAXMSGSIZE, kFrameBytesMax);
  if (kind == Kind::kRouter) set(ZMQ_ROUTER_MANDATORY, 1);  // says when a peer is gone or full
  return socket;
}

Result<void> ZmqSocket::bind(const std::string& endpoint) {
  if (zmq_bind(handle(), endpoint.c_str()) == 0) return {};
  return failed(fmt::format("cannot listen on {}", endpoint), zmq_errno());
}

Result<void> ZmqSocket::connect(const std::string& endpoint) {
  if (zmq_connect(handle(), endpoint.c_str()) == 0) return {};
  return failed(fmt::format("cannot connect to {}", endpoint), zmq_errno());
}

void ZmqSocket::subscribe(std::string_view prefix) {
  zmq_setsockopt(handle(), ZMQ_SUBSCRIBE, prefix.data(), prefix.size());
}

void ZmqSocket::set_lossy(bool lossy) {
  const int no_drop = lossy ? 0 : 1;
  zmq_setsockopt(handle(), ZMQ_XPUB_NODROP, &no_drop, sizeof no_drop);
}

std::string ZmqSocket::bound_to() const {
  std::array<char, 1'024> text{};
  std::size_t size = text.size();
  if (zmq_getsockopt(handle(), ZMQ_LAST_ENDPOINT, text.data(), &size) != 0 || size == 0) return {};
  return {text.data(), size - 1};
}

int ZmqSocket::signal_fd() const noexcept {
  int fd = -1;
  std::size_t size = sizeof fd;
  zmq_getsockopt(handle(), ZMQ_FD, &fd, &size);
  return fd;
}

ZmqSocket::Sent ZmqSocket::send(std::string_view frame, bool more) {
  return sent(zmq_send(handle(), frame.data(), frame.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)));
}

ZmqSocket::Sent ZmqSocket::send(Payload& payload, Way way) {
  zmq_msg_t message;
  payload.retain();
  payload.join_backlog(way);
  // libzmq only reads it.
  zmq_msg_init_data(&message, const_cast<char*>(payload.bytes().data()), payload.bytes().size(),
                    way == Way::kLive ? on_payload_free<Way::kLive> : on_payload_free<Way::kReplay>, &payload);
  const Sent outcome = sent(zmq_msg_send(&message, handle(), ZMQ_DONTWAIT));
  if (outcome != Sent::kYes) zmq_msg_close(&message);
  return outcome;
}

std::optional<std::vector<std::string>> ZmqSocket::receive(std::size_t frames_max) {
  std::vector<std::string> frames;
  bool more = true;
  while (more) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, handle(), ZMQ_DONTWAIT) < 0) {
      zmq_msg_close(&message);
      return std::nullopt;
    }
    if (frames.size() < frames_max)
      frames.emplace_back(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
    more = zmq_msg_more(&message) != 0;
    zmq_msg_close(&message);
  }
  return frames;
}

}  // namespace llmd::kvevents
