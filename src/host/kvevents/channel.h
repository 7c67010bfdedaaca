#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "kvevents/event_metrics.h"
#include "kvevents/event_queue.h"
#include "kvevents/publisher_options.h"
#include "kvevents/replay_buffer.h"
#include "kvevents/replay_server.h"
#include "kvevents/zmq_socket.h"

namespace llmd::kvevents {

/// Byte bounds of all endpoints of a process together; each has an equal part, but 1 MiB at least.
struct ByteLimits {
  std::size_t queue = std::size_t{64} << 20;    // events that wait for the publisher's thread
  std::size_t replay = std::size_t{128} << 20;  // batches kept for replays
  std::size_t backlog =
      std::size_t{128} << 20;  // batches that consumers have not taken from libzmq; as many again for replays
};

/// The sockets of one endpoint's events. A consumer that is `hwm` batches behind misses further ones, as in vLLM. If
/// what libzmq holds for consumers passes its bound, the socket is opened anew: what it held is gone, and all
/// consumers connect again and find a gap, which a replay fills. Made on any thread, then used by one.
class Channel {
 public:
  /// Errors: kAddressInUse, kAddressInvalid, kIo.
  [[nodiscard]] static Result<std::unique_ptr<Channel>> open(const ZmqContext& context, const Wake& wake,
                                                             PublisherOptions options, const ByteLimits& limits,
                                                             MetricsRegistry& registry);

  [[nodiscard]] EventQueue& queue() noexcept { return queue_; }
  [[nodiscard]] std::string address() const { return place_; }
  /// -1: no replays. Readable: advance() has something to do.
  [[nodiscard]] int signal_fd() const noexcept { return replays_ ? replays_->socket().signal_fd() : -1; }
  /// Sends what waits and serves replays.
  void advance(TimePoint now);
  /// When advance() is to be called even if nothing comes.
  [[nodiscard]] TimePoint due() const noexcept { return due_; }

 private:
  Channel(const ZmqContext& context, const Wake& wake, PublisherOptions options, const ByteLimits& limits,
          MetricsRegistry& registry);
  [[nodiscard]] Result<void> open_live();
  [[nodiscard]] Result<void> open_replays();
  void publish(const QueuedBatch& batch, TimePoint now);
  void send(Payload& payload);
  void cut_off(TimePoint now);

  const ZmqContext& context_;
  const PublisherOptions options_;
  const std::size_t backlog_bytes_max_;
  std::string place_;  // with the port that was picked
  EventMetrics metrics_;
  EventQueue queue_;
  ReplayBuffer buffer_;
  std::shared_ptr<Backlog> backlog_ = std::make_shared<Backlog>();
  const std::shared_ptr<Backlog> replay_backlog_ = std::make_shared<Backlog>();
  std::optional<ZmqSocket> live_;  // none: its place is not free again yet
  TimePoint open_again_{};
  bool consumer_full_ = false;  // one at least misses batches
  std::optional<ReplayServer> replays_;
  TimePoint due_{};
};

}  // namespace llmd::kvevents
