#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "kvevents/payload.h"

namespace llmd::kvevents {

/// libzmq with one I/O thread. Outlives its sockets; its end waits for what they still hold, which is nothing as they
/// do not linger. By the C interface, since that throws nothing.
class ZmqContext {
 public:
  explicit ZmqContext(std::size_t sockets_max);
  [[nodiscard]] void* handle() const noexcept { return handle_.get(); }

 private:
  struct End {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, End> handle_;
};

/// One socket. Used by one thread at a time; never waits.
class ZmqSocket {
 public:
  enum class Kind : std::uint8_t { kPublisher, kRouter, kSubscriber, kDealer };
  enum class Sent : std::uint8_t { kYes, kFull, kNobody };

  /// `hwm`: messages that a peer may be behind. Error kIo.
  [[nodiscard]] static Result<ZmqSocket> make(const ZmqContext& context, Kind kind, int hwm);

  /// Errors: kAddressInUse, kAddressInvalid, kIo.
  [[nodiscard]] Result<void> bind(const std::string& endpoint);
  [[nodiscard]] Result<void> connect(const std::string& endpoint);
  /// Of a subscriber: topics that begin so.
  void subscribe(std::string_view prefix);
  /// Of a publisher: whether a message goes to the consumers that have room for it (as by default), or else to none and
  /// send() says kFull. One that was found full is left out until it has read.
  void set_lossy(bool lossy);
  /// Where it is bound, with the port that was picked.
  [[nodiscard]] std::string bound_to() const;

  /// One frame; `more`: of the same message. The first frame of a router's message is the peer.
  Sent send(std::string_view frame, bool more);
  /// The last frame. Not copied; counts as backlog until every consumer has it.
  Sent send(Payload& payload, Way way);
  /// The next message, if there is one; frames beyond `frames_max` are thrown away.
  [[nodiscard]] std::optional<std::vector<std::string>> receive(std::size_t frames_max);

  /// Readable when something may have come since receive() found nothing.
  [[nodiscard]] int signal_fd() const noexcept;

  [[nodiscard]] void* handle() const noexcept { return handle_.get(); }

 private:
  struct End {
    void operator()(void* socket) const noexcept;
  };
  explicit ZmqSocket(void* handle) noexcept : handle_{handle} {}
  std::unique_ptr<void, End> handle_;
};

}  // namespace llmd::kvevents
