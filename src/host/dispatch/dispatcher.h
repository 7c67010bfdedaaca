#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "model/decision.h"
#include "net/client.h"
#include "net/http.h"
#include "net/server.h"
#include "pool/pool.h"
#include "routing/router.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::dispatch {

/// A label of endpoints: how their engines hand KV on, by llm-d's names of connectors. Spoken here: nixlv2 (if there is
/// no label), shared-storage, sglang.
inline constexpr std::string_view kConnectorLabel = "llmd.ai/kv-connector";
/// A label of SGLang's prefill endpoints: the port of their bootstrap server, 8998 if there is none.
inline constexpr std::string_view kBootstrapPortLabel = "llmd.ai/bootstrap-port";

struct DispatchOptions {
  milliseconds request_timeout{600'000};  // from the decision to the answer's last byte
  /// Endpoints tried for one request while nothing was sent to the client. Those where nobody listens do not count: of
  /// them as many are tried as the decision names.
  std::uint32_t attempts_max = 4;
  /// An answer that is not a stream is held back up to this size, so that a cut one can be retried; larger ones are
  /// passed on as they come.
  std::size_t held_answer_bytes_max = 4 * 1024 * 1024;
  net::ClientOptions client{};
};

/// llm-d's: why flow control did not let a request through, or cut it.
inline constexpr std::string_view kDroppedReasonHeader = "x-llm-d-request-dropped-reason";

/// Takes a request back, before or while it is carried out. On its loop.
struct Revocation {
  std::function<void()> revoke{};  // set while the request is under way
  bool wanted = false;             // before that: it is not sent at all

  void ask() {
    wanted = true;
    if (revoke) revoke();
  }
};

/// A request that has been decided, ready to be sent.
struct DispatchRequest {
  std::string_view method;
  std::string_view target;
  net::Headers headers;   // as the endpoint gets them: see request_headers()
  std::string_view body;  // must live until carry_out() returns
  routing::Route route;   // Pre: its decision says kDispatch
  /// Token counts of a stream were asked for by us and not by the client, so it does not get the event with them.
  bool hides_usage = false;
  /// Flow control may take it back to make room: then the client is answered 429, or its stream ends with an error.
  /// Null: it may not. Must live until carry_out() returns.
  Revocation* revocation = nullptr;
  /// The model's name in answers, if the endpoint calls it otherwise; empty: answers keep what they say.
  std::string_view answer_model{};
  /// Another pool may take it: if none of the endpoints did, because they failed, and nothing was sent to the client,
  /// `untaken` is set and the client is not answered. Not if they had no room: that is theirs to say.
  bool may_go_elsewhere = false;
  bool untaken = false;
  /// Called once, when the pool's live counters have the request. Not called if it is never sent.
  std::function<void()> counted{};
};

/// Carries decisions out, on one loop: sends, retries on another endpoint while nothing was sent to the client, passes
/// the answer on, tells pool and router what came of it. One object a loop, with the loop's pooled connections.
class Dispatcher {
 public:
  /// `pool`, `router` and `metrics` must outlive it.
  Dispatcher(Loop& loop, pool::Pool& pool, routing::Router& router, MetricsRegistry& metrics, DispatchOptions options);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Answers `exchange`, unless the request may go elsewhere and has to: with what the endpoint said, or with an error
  /// of ours. A stream that is cut after its first byte ends with an error event and without [DONE]. When the client
  /// leaves, the endpoint's connection is closed at once. The outcome has been given to pool and router when it
  /// returns.
  [[nodiscard]] Task<Outcome> carry_out(DispatchRequest& request, net::Exchange& exchange);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace llmd::dispatch
