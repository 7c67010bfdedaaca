#pragma once

#include <string>
#include <utility>

#include "api/conversion/dialect.h"
#include "apps/worker/worker_metrics.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/http.h"
#include "net/server.h"

namespace llmd::worker {

/// One request while it is handled: what every route needs to answer it. Lives in the handler's coroutine.
class Call {
 public:
  Call(net::Request request, net::Exchange& exchange, std::string request_id, WorkerMetrics& metrics);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  [[nodiscard]] const net::Request& request() const noexcept { return request_; }
  [[nodiscard]] net::Exchange& exchange() noexcept { return exchange_; }
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] api::Dialect dialect() const noexcept { return dialect_; }
  [[nodiscard]] TimePoint arrived() const noexcept { return arrived_; }
  [[nodiscard]] WorkerMetrics& metrics() noexcept { return metrics_; }
  [[nodiscard]] int status() const noexcept { return status_; }  // answered with; 0: not yet
  /// The path after the route's prefix, for routes that end in /*.
  std::string tail;

  /// A whole answer of JSON, with the request id. A client that is gone is no error.
  [[nodiscard]] Task<void> respond_json(int status, std::string json);
  [[nodiscard]] Task<void> respond(net::Response response);
  /// The error in the shape of the path's API, with Retry-After where it helps; logged from 500 on. Nothing is sent for
  /// kCancelled.
  [[nodiscard]] Task<void> respond_error(Error error);

  /// A header of the answer, whichever it will be. Before the answer has begun.
  void add_header(std::string_view name, std::string value) { headers_.add(std::string{name}, std::move(value)); }

  /// The head of a stream of server-sent events.
  [[nodiscard]] Task<Result<void>> start_events();
  /// Ends a started stream: `event` tells the client of the error. Nothing is sent for kCancelled.
  [[nodiscard]] Task<void> end_with_error(Error error, std::string event);

 private:
  net::Request request_;
  net::Exchange& exchange_;
  std::string id_;
  const api::Dialect dialect_;
  TimePoint arrived_;
  WorkerMetrics& metrics_;
  int status_ = 0;
  net::Headers headers_;  // of the answer, beside the usual ones
};

/// Runs `callback` if the client of a call leaves while this lives.
class DisconnectWatch {
 public:
  DisconnectWatch(net::Exchange& exchange, std::move_only_function<void()> callback) : exchange_{exchange} {
    exchange_.on_disconnect(std::move(callback));
  }
  ~DisconnectWatch() { exchange_.on_disconnect(nullptr); }
  DisconnectWatch(const DisconnectWatch&) = delete;
  DisconnectWatch& operator=(const DisconnectWatch&) = delete;

 private:
  net::Exchange& exchange_;
};

}  // namespace llmd::worker
