#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "net/client.h"
#include "net/http.h"
#include "runtime/deadline.h"
#include "runtime/event.h"
#include "runtime/loop.h"

namespace llmd::sidecar {

/// A request of the sidecar's own, and its whole answer.
struct LegRequest {
  net::Client* client = nullptr;
  net::Address address;
  std::string method;
  std::string target;
  net::Headers headers;
  std::string body;
  std::size_t answer_bytes_max = 0;
  Duration timeout{};
};

struct LegAnswer {
  int status = 0;
  net::Headers headers;
  std::string body;

  [[nodiscard]] bool succeeded() const noexcept { return status >= 200 && status <= 299; }
  /// The same request may succeed at the next attempt, and has done nothing so far.
  [[nodiscard]] bool may_be_repeated() const noexcept { return status == 502 || status == 503 || status == 504; }
};

/// One leg whose answer is read whole, within its time. It may go on by itself when what asked for it has ended: then
/// somebody must hold it until `done`. Belongs to one loop.
class Leg {
 public:
  Leg(Loop& loop, LegRequest request);
  Leg(const Leg&) = delete;
  Leg& operator=(const Leg&) = delete;

  /// Once. Errors as Client::send(), kDeadlineExceeded, kBodyTooLarge, kCancelled.
  [[nodiscard]] Task<Result<LegAnswer>> run();
  void cancel() { token_.cancel(); }
  /// Of its answer's head, once that has come; else 0.
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const LegRequest& request() const noexcept { return request_; }

 private:
  LegRequest request_;
  net::CancelToken token_;
  bool timed_out_ = false;
  int status_ = 0;
  Deadline deadline_;
};

}  // namespace llmd::sidecar
