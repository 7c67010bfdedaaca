#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "kube/access.h"
#include "net/client.h"
#include "runtime/loop.h"

namespace llmd::kube {

/// Speaks to one API server, on one loop.
class Client {
 public:
  /// Errors: kFileInvalid (certificates).
  [[nodiscard]] static Result<std::unique_ptr<Client>> make(Loop& loop, Access access);

  /// As net::Client::send(), with our credentials.
  [[nodiscard]] Task<Result<std::unique_ptr<net::ClientResponse>>> get(std::string target, net::CancelToken& token);

  [[nodiscard]] const Access& access() const noexcept { return access_; }
  [[nodiscard]] Loop& loop() noexcept { return loop_; }

 private:
  Client(Loop& loop, Access access, net::ClientOptions options);
  [[nodiscard]] std::string token();

  Loop& loop_;
  const Access access_;
  net::Client http_;
  std::string token_;
  TimePoint token_read_at_{};
};

}  // namespace llmd::kube
