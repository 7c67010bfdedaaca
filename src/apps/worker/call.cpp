#include "apps/worker/call.h"

#include <fmt/format.h>

#include "telemetry/log.h"

namespace llmd::worker {

Call::Call(net::Request request, net::Exchange& exchange, std::string request_id, WorkerMetrics& metrics)
    : request_{std::move(request)},
      exchange_{exchange},
      id_{std::move(request_id)},
      dialect_{api::dialect_of(request_.path())},
      arrived_{SteadyClock::now()},
      metrics_{metrics} {}

Task<void> Call::respond(net::Response response) {
  status_ = response.status;
  metrics_.count_response(status_);
  response.headers.add("x-request-id", id_);
  for (const auto& [name, value] : headers_) response.headers.add(name, value);
  const Result<void> sent = co_await exchange_.respond(std::move(response));
  if (!sent) log::write(log::Level::kDebug, id_, sent.error().to_string());
}

Task<void> Call::respond_json(int status, std::string json) {
  net::Response response{.status = status, .headers = {}, .body = std::move(json)};
  response.headers.add("Content-Type", "application/json");
  co_await respond(std::move(response));
}

Task<void> Call::respond_error(Error error) {
  if (error.code == ErrorCode::kCancelled) {
    status_ = http_status(error.code);
    metrics_.count_response(status_);
    co_return;
  }
  openai::ErrorAnswer answer = api::render_error(dialect_, error);
  if (answer.status >= 500) log::write(log::Level::kError, id_, error.to_string());
  net::Response response{.status = answer.status, .headers = {}, .body = std::move(answer.json)};
  response.headers.add("Content-Type", "application/json");
  if (answer.retry_after_s) response.headers.add("Retry-After", fmt::format("{}", *answer.retry_after_s));
  co_await respond(std::move(response));
}

Task<Result<void>> Call::start_events() {
  status_ = 200;
  metrics_.count_response(status_);
  net::Headers headers;
  headers.add("Content-Type", "text/event-stream; charset=utf-8");
  headers.add("Cache-Control", "no-cache");
  headers.add("x-request-id", id_);
  for (const auto& [name, value] : headers_) headers.add(name, value);
  const Result<void> started = co_await exchange_.start(200, std::move(headers));
  co_return started;
}

Task<void> Call::end_with_error(Error error, std::string event) {
  if (error.code == ErrorCode::kCancelled) co_return;
  log::write(log::Level::kError, id_, error.to_string());
  const Result<void> written = co_await exchange_.write(event);
  if (!written) co_return;
  const Result<void> finished = co_await exchange_.finish();
  if (!finished) log::write(log::Level::kDebug, id_, finished.error().to_string());
}

}  // namespace llmd::worker
