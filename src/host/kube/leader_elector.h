#pragma once

#include <functional>
#include <string>

#include "base/rng.h"
#include "kube/client.h"
#include "kube/lease_election.h"
#include "net/client.h"
#include "runtime/event.h"
#include "runtime/loop.h"

namespace llmd::kube {

struct LeaderElectorOptions {
  std::string ns;
  std::string lease;     // its name
  std::string identity;  // of this replica, unlike all others
  LeaseTimes times{};
};

/// Takes and renews a lease (LeaseElection) in the API server. On the client's loop; the client must outlive it.
class LeaderElector {
 public:
  LeaderElector(Client& client, LeaderElectorOptions options, std::uint64_t seed);

  /// Until stop(); then the lease is released, if it is ours.
  [[nodiscard]] Task<void> run();
  void stop();
  [[nodiscard]] bool leads() const noexcept { return election_.leads(SteadyClock::now()); }
  [[nodiscard]] const LeaderElectorOptions& options() const noexcept { return options_; }

 private:
  [[nodiscard]] Task<Result<void>> attempt();
  /// Error kNotFound: there is none.
  [[nodiscard]] Task<Result<std::string>> read();
  [[nodiscard]] Task<Result<void>> write(const std::string& body, bool creates);
  void tell(const Result<void>& done);

  Client& client_;
  const LeaderElectorOptions options_;
  const std::string path_;
  LeaseElection election_;
  Rng chance_;
  Event stopped_;
  net::CancelToken token_;
  std::string trouble_;  // told last
  std::string held_;     // the lease as the server last had it
  bool led_ = false;
};

}  // namespace llmd::kube
