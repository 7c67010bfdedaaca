#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

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

  /// As net::Client::send(), with our credentials; a token that the server refuses (401) is read again, once. `body`,
  /// if there is one, is JSON.
  [[nodiscard]] Task<Result<std::unique_ptr<net::ClientResponse>>> send(std::string method, std::string target,
                                                                        std::string body, net::CancelToken& token);
  [[nodiscard]] Task<Result<std::unique_ptr<net::ClientResponse>>> get(std::string target, net::CancelToken& token) {
    return send("GET", std::move(target), {}, token);
  }

  [[nodiscard]] const Access& access() const noexcept { return access_; }
  [[nodiscard]] Loop& loop() noexcept { return loop_; }

 private:
  Client(Loop& loop, Access access, net::ClientOptions options);
  [[nodiscard]] std::string token();
  /// False: there is no other.
  [[nodiscard]] bool renew_token();

  Loop& loop_;
  const Access access_;
  net::Client http_;
  std::string token_;
  TimePoint token_read_at_{};
};

/// What an answer that is none of success says: the message of its Status object, or its beginning.
[[nodiscard]] std::string refusal_text(std::string_view body);

}  // namespace llmd::kube
