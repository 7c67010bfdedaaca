#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/clock.h"
#include "kvevents/replay_buffer.h"
#include "kvevents/zmq_socket.h"

namespace llmd::kvevents {

/// Answers consumers that ask for batches from a number on, as vLLM does from 0.26 on: a message of
/// [peer][empty][topic][seq][payload] a batch, and one with empty topic, seq of all ones and empty payload at the end.
/// Piece by piece, so that a long replay does not hold up live batches, and no faster than its consumer reads.
class ReplayServer {
 public:
  static constexpr int kPeerBatchesMax = 256;         // that libzmq holds of one replay
  static constexpr std::size_t kReplaysMax = 64;      // at once; more are not heard
  static constexpr Duration kStallMax = seconds{10};  // of a replay that cannot go on; then it ends

  /// While libzmq holds more than `backlog_bytes_max` of `backlog`, where payloads of Way::kReplay count, replays wait.
  ReplayServer(ZmqSocket socket, std::string topic, std::shared_ptr<const Backlog> backlog,
               std::size_t backlog_bytes_max) noexcept
      : socket_{std::move(socket)},
        topic_{std::move(topic)},
        backlog_{std::move(backlog)},
        backlog_bytes_max_{backlog_bytes_max} {}

  enum class Left : std::uint8_t { kNothing, kMore, kBlocked };
  /// Goes on with replays under way and takes requests. kMore: call again at once; kBlocked: their consumers do not
  /// read; kNothing: when socket().signal_fd() is readable.
  Left advance(const ReplayBuffer& buffer, TimePoint now);
  /// Requests that were taken since the start.
  [[nodiscard]] std::uint64_t requests() const noexcept { return requests_; }
  [[nodiscard]] const ZmqSocket& socket() const noexcept { return socket_; }

 private:
  struct Replay {
    std::string peer;
    std::uint64_t next = 0;
    std::uint64_t end = 0;
    TimePoint progress{};
  };
  /// Consumers have not taken what they were sent.
  [[nodiscard]] bool full() const noexcept {
    return backlog_->bytes.load(std::memory_order_relaxed) > backlog_bytes_max_;
  }
  /// Whether there was one. After false libzmq signals the next one.
  [[nodiscard]] bool take_request(const ReplayBuffer& buffer, TimePoint now);
  enum class Progress : std::uint8_t { kDone, kMore, kBlocked };
  [[nodiscard]] Progress go_on(Replay& replay, const ReplayBuffer& buffer, TimePoint now);
  /// The frames before the payload.
  [[nodiscard]] ZmqSocket::Sent send_head(const std::string& peer, std::string_view topic, std::uint64_t seq);

  ZmqSocket socket_;
  const std::string topic_;
  const std::shared_ptr<const Backlog> backlog_;
  const std::size_t backlog_bytes_max_;
  std::deque<Replay> replays_;
  std::uint64_t requests_ = 0;
};

/// Eight bytes, the most significant first: how numbers of batches travel.
[[nodiscard]] std::string encode_seq(std::uint64_t seq);

}  // namespace llmd::kvevents
