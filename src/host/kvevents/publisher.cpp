#include "kvevents/publisher.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "telemetry/log.h"

namespace llmd::kvevents {
namespace {

constexpr std::uint64_t kWakeKey = UINT64_MAX;
constexpr std::size_t kEventsAtOnce = 64;
constexpr std::size_t kSpareSockets = 16;  // libzmq has some of its own
constexpr std::size_t kEndpointBytesMin = std::size_t{1} << 20;

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

int milliseconds_until(TimePoint due) {
  if (due == TimePoint::max()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(due - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000));
}

}  // namespace

Publisher::Publisher(std::size_t endpoints_max, const ByteLimits& limits)
    : limits_{share(limits, endpoints_max)},
      context_{2 * endpoints_max + kSpareSockets},
      epoll_{::epoll_create1(EPOLL_CLOEXEC)} {}

Publisher::~Publisher() {
  stopping_ = true;
  wake_.signal();
  if (thread_.joinable()) thread_.join();
  ::close(epoll_);
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

void Publisher::watch_replays() const {
  const auto watch = [this](int fd, std::uint64_t key) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = key;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  };
  watch(wake_.fd(), kWakeKey);
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    if (const int fd = channels_[i]->signal_fd(); fd >= 0) watch(fd, i);
  }
}

void Publisher::wait(TimePoint due) {
  std::array<epoll_event, kEventsAtOnce> events{};
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds_until(due));
  wake_.clear();
  for (int i = 0; i < count; ++i) {
    const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
    if (key != kWakeKey) channels_[key]->advance(SteadyClock::now());
  }
}

void Publisher::run() {
  watch_replays();
  while (!stopping_) {
    const TimePoint now = SteadyClock::now();
    TimePoint due = TimePoint::max();
    for (const auto& channel : channels_) {
      if (channel->queue().waiting() || channel->due() <= now) channel->advance(now);
      due = std::min(due, channel->due());
    }
    wait(due);
  }
}

std::string topic_of(std::string topic, std::string_view address, std::string_view model) {
  replace(topic, "{address}", address);
  replace(topic, "{model}", model);
  return topic;
}

}  // namespace llmd::kvevents
