#pragma once

#include <functional>
#include <string>

#include "net/h2_session.h"
#include "runtime/loop.h"

namespace llmd::net {

/// One HTTP/2 connection, of a server or a client. On its loop only; kept alive by whoever holds it, dead when it says
/// so.
class H2Connection {
 public:
  virtual ~H2Connection() = default;
  [[nodiscard]] virtual Loop& loop() noexcept = 0;
  [[nodiscard]] virtual const std::string& peer() const noexcept = 0;
  /// To speak on. Streams of a connection that has ended are unknown to it.
  [[nodiscard]] virtual H2Session& session() noexcept = 0;
  /// Sends what the session has, when the loop comes round: what is asked for until then goes out in one call.
  virtual void flush() = 0;
  /// Runs `action` on the loop once the session has taken what has come, before what it has to send goes out.
  virtual void soon(std::move_only_function<void()> action) = 0;
};

}  // namespace llmd::net
