#include "kvevents/publisher.h"

#include <fmt/format.h>
#include <zmq.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "telemetry/log.h"

namespace llmd::kvevents {
namespace {

constexpr std::size_t kSpareSockets = 16;  // libzmq has some of its own
constexpr std::size_t kEndpointBytesMin = std::size_t{64} << 10;

ByteLimits share(const ByteLimits& all, std::size_t endpoints) {
  const auto part = [endpoints](std::size_t bytes) {
    return std::max(kEndpointBytesMin, bytes / std::max<std::size_t>(1, endpoints));
  };
  return {.queue = part(all.queue), .replay = part(all.replay), .backlog = part(all.backlog)};
}

void replace(std::string& text, std::string_view name, std::string_view value) {
  for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size()))
    text.replace(at, name.size(), value);
}

long milliseconds_of(std::optional<Duration> wait) {
  if (!wait) return -1;
  return static_cast<long>(std::chrono::ceil<milliseconds>(*wait).count());
}

}  // namespace

Publisher::Publisher(std::size_t endpoints_max, const ByteLimits& limits)
    : limits_{share(limits, endpoints_max)}, context_{2 * endpoints_max + kSpareSockets} {}

Publisher::~Publisher() {
  stopping_ = true;
  wake_.signal();
  if (thread_.joinable()) thread_.join();
}

Result<std::shared_ptr<KvEventSink>> Publisher::add(const PublisherOptions& options, MetricsRegistry& registry) {
  LLMD_TRY(std::unique_ptr<Channel> channel, Channel::open(context_, wake_, options, limits_, registry));
  log::info("publishing KV events on {}, topic \"{}\"", channel->address(), options.topic);
  channels_.push_back(std::move(channel));
  return std::shared_ptr<KvEventSink>{std::shared_ptr<void>{}, &channels_.back()->queue()};
}

void Publisher::start() {
  thread_ = std::thread{[this] { run(); }};
}

void Publisher::run() {
  std::vector<zmq_pollitem_t> items{{.socket = nullptr, .fd = wake_.fd(), .events = ZMQ_POLLIN, .revents = 0}};
  for (const auto& channel : channels_) {
    if (const ZmqSocket* socket = channel->replay_socket())
      items.push_back({.socket = socket->handle(), .fd = 0, .events = ZMQ_POLLIN, .revents = 0});
  }
  while (!stopping_) {
    std::optional<Duration> wait;
    for (const auto& channel : channels_) {
      const std::optional<Duration> again = channel->advance(SteadyClock::now());
      if (again && (!wait || *again < *wait)) wait = again;
    }
    zmq_poll(items.data(), static_cast<int>(items.size()), milliseconds_of(wait));
    wake_.clear();
  }
}

std::string topic_of(std::string topic, std::string_view address, std::string_view model) {
  replace(topic, "{address}", address);
  replace(topic, "{model}", model);
  return topic;
}

}  // namespace llmd::kvevents
