#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "kvtransfer/peer_list.h"
#include "net/address.h"
#include "runtime/runtime_directory.h"

namespace llmd::worker {

struct Options;

/// What the flags come to on this machine.
struct KvSetup {
  std::optional<net::Address> listen;  // none: no blocks are kept for others
  std::string advertised_host;
  kvtransfer::PeerList peers;
  std::chrono::milliseconds lease{30'000};
  std::chrono::milliseconds pull_timeout{5'000};
  std::unique_ptr<RuntimeDirectory> directory;  // of a socket whose place was chosen here

  /// That of the `index`-th of several endpoints of the process, on a port or socket of its own. `directory` stays
  /// here.
  [[nodiscard]] KvSetup of_endpoint(std::uint32_t index) const;
};

/// `auto` listens for prefill workers only: beside the worker's own socket if it has one, as PATH.kv, else in a runtime
/// directory. Without --kv-peers blocks may come from this machine: loopback addresses, and sockets below this user's
/// runtime folder or in the folder of the worker's own sockets. Pre: flags::check_worker_flags() found nothing, and
/// the process has one thread yet. Errors: kConfigInvalid, kAddressInvalid, kIo.
[[nodiscard]] Result<KvSetup> make_kv_setup(const Options& options);

}  // namespace llmd::worker
