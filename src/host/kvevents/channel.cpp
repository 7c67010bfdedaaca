#include "kvevents/channel.h"

#include <algorithm>
#include <utility>

#include "kvevents/encode_batch.h"
#include "telemetry/log.h"

namespace llmd::kvevents {
namespace {

constexpr Duration kOpenAgain = milliseconds{50};  // libzmq gives a place back a little after its socket is closed
constexpr Duration kReplayAgain = milliseconds{10};

}  // namespace

Channel::Channel(const ZmqContext& context, const Wake& wake, PublisherOptions options, const ByteLimits& limits,
                 MetricsRegistry& registry)
    : context_{context},
      options_{std::move(options)},
      backlog_bytes_max_{limits.backlog},
      place_{options_.endpoint},
      metrics_{registry},
      queue_{{.batches_max = options_.max_queue_size, .bytes_max = limits.queue}, wake, metrics_},
      buffer_{{.batches_max = options_.buffer_steps, .bytes_max = limits.replay}} {}

Result<std::unique_ptr<Channel>> Channel::open(const ZmqContext& context, const Wake& wake, PublisherOptions options,
                                               const ByteLimits& limits, MetricsRegistry& registry) {
  std::unique_ptr<Channel> made{new Channel{context, wake, std::move(options), limits, registry}};
  LLMD_TRY_VOID(made->open_live());
  LLMD_TRY_VOID(made->open_replays());
  return made;
}

Result<void> Channel::open_live() {
  LLMD_TRY(ZmqSocket socket, ZmqSocket::make(context_, ZmqSocket::Kind::kPublisher, static_cast<int>(options_.hwm)));
  if (binds(options_.endpoint)) {
    LLMD_TRY_VOID(socket.bind(place_));
    place_ = socket.bound_to();
  } else {
    LLMD_TRY_VOID(socket.connect(place_));
  }
  socket.set_lossy(false);
  live_.emplace(std::move(socket));
  return {};
}

Result<void> Channel::open_replays() {
  if (options_.replay_endpoint.empty()) return {};
  LLMD_TRY(ZmqSocket socket, ZmqSocket::make(context_, ZmqSocket::Kind::kRouter, ReplayServer::kPeerBatchesMax));
  LLMD_TRY_VOID(socket.bind(options_.replay_endpoint));
  log::info("replaying KV events on {}", socket.bound_to());
  replays_.emplace(std::move(socket), options_.topic, replay_backlog_, backlog_bytes_max_);
  return {};
}

void Channel::advance(TimePoint now) {
  if (!live_ && now >= open_again_) {
    if (const auto opened = open_live(); !opened) log::debug("KV events: {}", opened.error().to_string());
    open_again_ = now + kOpenAgain;
  }
  for (const QueuedBatch& batch : queue_.take()) publish(batch, now);
  due_ = live_ ? TimePoint::max() : open_again_;
  if (!replays_) return;
  const ReplayServer::Left left = replays_->advance(buffer_, now);
  metrics_.replays.add(static_cast<double>(replays_->requests()) - metrics_.replays.value());
  if (left == ReplayServer::Left::kMore) due_ = now;
  if (left == ReplayServer::Left::kBlocked) due_ = std::min(due_, now + kReplayAgain);
}

void Channel::publish(const QueuedBatch& batch, TimePoint now) {
  if (backlog_->bytes.load(std::memory_order_relaxed) > backlog_bytes_max_) cut_off(now);
  PayloadHandle payload{new Payload{batch.seq, encode_batch(batch.unix_s, batch.events), {backlog_, replay_backlog_}}};
  metrics_.batches.add();
  metrics_.bytes.add(static_cast<double>(payload->bytes().size()));
  if (!live_) {
    metrics_.dropped_backlog.add();
  } else {
    send(*payload);
  }
  if (!replays_) return;
  buffer_.add(std::move(payload));
  metrics_.replay_buffer_bytes.set(static_cast<double>(buffer_.bytes()));
}

/// libzmq does not say how often it drops. So the first time that a consumer is full is asked for, and the end is when
/// half of what it may be behind has been read: then libzmq writes to it again.
void Channel::send(Payload& payload) {
  if (backlog_->batches.load(std::memory_order_relaxed) <= options_.hwm / 2) consumer_full_ = false;
  if (live_->send(options_.topic, true) == ZmqSocket::Sent::kFull) {
    consumer_full_ = true;
    live_->set_lossy(true);
    live_->send(options_.topic, true);
  }
  live_->send(encode_seq(payload.seq()), true);
  live_->send(payload, Way::kLive);
  live_->set_lossy(false);
  if (consumer_full_) metrics_.dropped_hwm.add();
}

void Channel::cut_off(TimePoint now) {
  const std::size_t lost = backlog_->batches.load(std::memory_order_relaxed);
  log::warn("a consumer of KV events on {} does not read: {} batches are dropped, and all consumers connect again",
            place_, lost);
  metrics_.dropped_backlog.add(static_cast<double>(lost));
  live_.reset();
  consumer_full_ = false;
  backlog_ = std::make_shared<Backlog>();  // what is still under way counts for the old one
  open_again_ = now + kOpenAgain;
}

}  // namespace llmd::kvevents
