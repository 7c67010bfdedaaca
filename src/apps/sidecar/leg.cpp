#include "apps/sidecar/leg.h"

#include <fmt/format.h>

namespace llmd::sidecar {

Leg::Leg(Loop& loop, LegRequest request)
    : request_{std::move(request)}, deadline_{loop.executor(), [this] {
                                                timed_out_ = true;
                                                token_.cancel();
                                              }} {}

Task<Result<LegAnswer>> Leg::run() {
  deadline_.set(SteadyClock::now() + request_.timeout);
  const auto failed = [this](const Error& error) {
    deadline_.clear();
    if (!timed_out_) return std::unexpected(error);
    return std::unexpected(
        Error{.code = ErrorCode::kDeadlineExceeded,
              .what = fmt::format("{} did not answer within {} ms", request_.address.to_string(),
                                  std::chrono::duration_cast<milliseconds>(request_.timeout).count())});
  };
  auto response = co_await request_.client->send(
      request_.address,
      {.method = request_.method, .target = request_.target, .headers = &request_.headers, .body = request_.body},
      &token_);
  if (!response) co_return failed(response.error());
  status_ = (*response)->status();
  auto body = co_await (*response)->read_all(request_.answer_bytes_max);
  if (!body) co_return failed(body.error());
  deadline_.clear();
  LegAnswer answer;
  answer.status = (*response)->status();
  answer.headers = (*response)->headers();
  answer.body = *std::move(body);
  co_return answer;
}

}  // namespace llmd::sidecar
