#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dispatch/call.h"
#include "runtime/deadline.h"

namespace llmd::dispatch {

/// The prefill leg of a request whose two legs are sent at once (SGLang): the engines meet by themselves, and its
/// answer is of no use. It goes on when the decode leg has ended, within the time of a request. Belongs to one loop.
class PrefillBeside {
 public:
  struct Leg {
    std::string endpoint;  // its name
    net::Address address;
    std::string method;
    std::string target;
    net::Headers headers;
    std::string body;
  };

  /// Sends it. `context` must outlive it, but for Loop::discard().
  [[nodiscard]] static std::shared_ptr<PrefillBeside> start(DispatchContext& context, Leg leg,
                                                            pool::InFlight in_flight);

  PrefillBeside(DispatchContext& context, Leg leg, pool::InFlight in_flight);
  PrefillBeside(const PrefillBeside&) = delete;
  PrefillBeside& operator=(const PrefillBeside&) = delete;

  /// It is of no more use; nobody is blamed.
  void cancel();
  /// Why it failed, if it did.
  [[nodiscard]] const std::optional<Error>& failure() const noexcept { return failure_; }
  /// Called when it fails, while somebody waits for the decode leg.
  void on_failure(std::function<void()> callback) { on_failure_ = std::move(callback); }

 private:
  static Task<void> run(std::shared_ptr<PrefillBeside> self);
  void fail_with(Error error, std::optional<health::FailureKind> blame);

  DispatchContext& context_;
  Leg leg_;
  pool::InFlight in_flight_;
  net::CancelToken token_;
  bool cancelled_ = false;
  bool timed_out_ = false;
  Deadline deadline_;
  std::optional<Error> failure_;
  std::function<void()> on_failure_;
};

}  // namespace llmd::dispatch
