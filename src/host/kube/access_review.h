#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "kube/client.h"

namespace llmd::kube {

/// Who may read a page: Kubernetes is asked whose a bearer token is (TokenReview) and whether that user may `get` the
/// path (SubjectAccessReview), as controller-runtime does it for metrics. On the client's loop; the client must outlive
/// it.
class AccessReview {
 public:
  enum class Verdict : std::uint8_t { kAllowed, kUnauthenticated, kForbidden };
  static constexpr std::size_t kKnownMax = 256;  // verdicts that are remembered; the oldest goes
  static constexpr seconds kAllowedFor{60};
  static constexpr seconds kRefusedFor{10};

  explicit AccessReview(Client& client) : client_{client} {}

  /// `authorization`: the field, "Bearer TOKEN". Errors: as Client::send(), and kUpstreamFailed: Kubernetes does not
  /// say, perhaps because we may not ask.
  [[nodiscard]] Task<Result<Verdict>> may_get(std::string authorization, std::string path);

 private:
  struct Known {
    Verdict verdict;
    TimePoint until;
  };
  [[nodiscard]] Task<Result<Verdict>> ask(std::string token, std::string path);
  [[nodiscard]] Task<Result<std::string>> post(std::string target, std::string body);

  Client& client_;
  std::map<std::string, Known, std::less<>> known_;  // by token and path
};

}  // namespace llmd::kube
