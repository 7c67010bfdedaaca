#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/h2_connection.h"
#include "net/h2_session.h"
#include "net/stream.h"
#include "runtime/loop.h"

namespace llmd::net {

/// How an HTTP/2 connection is kept.
struct H2LinkOptions {
  Duration write_timeout = seconds{30};  // a peer that does not read: the connection is closed
  Duration ping_interval = seconds{30};  // a connection on which nothing came for so long is asked whether it lives,
  Duration ping_timeout = seconds{20};   // and closed if it does not answer
  bool pings_idle = true;                // also while it has no streams
};

/// A socket and the session that speaks on it, of a server or a client. On its loop; run() keeps it alive.
class H2Link : public H2Connection, public std::enable_shared_from_this<H2Link> {
 public:
  /// `stream` is connected.
  H2Link(Loop& loop, std::shared_ptr<Stream> stream, std::string peer, const H2LinkOptions& options);
  ~H2Link() override = default;
  H2Link(const H2Link&) = delete;
  H2Link& operator=(const H2Link&) = delete;

  [[nodiscard]] Loop& loop() noexcept override { return loop_; }
  [[nodiscard]] const std::string& peer() const noexcept override { return peer_; }
  void flush() override;
  void soon(std::move_only_function<void()> action) override;

  /// Until the connection ends. Once; with TLS, behind its handshake.
  [[nodiscard]] static Task<void> run(std::shared_ptr<H2Link> self);
  void close();

 protected:
  [[nodiscard]] Stream& stream() noexcept { return *stream_; }

 private:
  [[nodiscard]] bool take_input();
  void send();
  bool send_now();
  [[nodiscard]] static Task<void> write(std::shared_ptr<H2Link> self);
  [[nodiscard]] static Task<void> watch(std::weak_ptr<H2Link> weak, std::shared_ptr<Timer> timer);

  Loop& loop_;
  std::shared_ptr<Stream> stream_;
  const std::string peer_;
  const H2LinkOptions options_;
  std::shared_ptr<Timer> watch_timer_;  // of watch(), which ends with it
  std::vector<std::move_only_function<void()>> ready_;
  bool running_ = false;
  bool flushing_ = false;
  bool receiving_ = false;
  bool writing_ = false;
  bool heard_ = false;
};

}  // namespace llmd::net
