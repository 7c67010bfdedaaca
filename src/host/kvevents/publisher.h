#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kvevents/channel.h"
#include "kvevents/publisher_options.h"
#include "model/kv_event.h"
#include "telemetry/metrics.h"

namespace llmd::kvevents {

/// Publishes the KV events of a process's endpoints over ZeroMQ as vLLM does: PUB sockets with [topic][seq][payload],
/// and ROUTER sockets for replays. All sockets are on one thread of its own, so that no engine waits for a consumer.
class Publisher {
 public:
  /// For so many endpoints at most.
  explicit Publisher(std::size_t endpoints_max, const ByteLimits& limits = {});
  /// What was not sent yet is lost.
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  /// Opens the sockets of one endpoint; what its engine tells the sink is published once start() was called, before
  /// which all endpoints are added. The sink is not called after this object's end, and the registry outlives it.
  /// Errors: kAddressInUse, kAddressInvalid, kIo.
  [[nodiscard]] Result<std::shared_ptr<KvEventSink>> add(const PublisherOptions& options, MetricsRegistry& registry);
  void start();

 private:
  void run();
  void watch_replays() const;
  /// Until `due`, a signal, or a request for a replay, whose channel is then advanced.
  void wait(TimePoint due);

  const ByteLimits limits_;  // of one endpoint
  ZmqContext context_;       // after the sockets it waits for nothing
  Wake wake_;
  const int epoll_;  // of wake_ and of the channels' replays, by index
  std::vector<std::unique_ptr<Channel>> channels_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// `{address}` and `{model}` in a topic, as --kv-events-config may have them, become these.
[[nodiscard]] std::string topic_of(std::string topic, std::string_view address, std::string_view model);

}  // namespace llmd::kvevents
