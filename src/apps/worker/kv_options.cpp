#include "apps/worker/kv_options.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "apps/worker/options.h"

namespace llmd::worker {
namespace {

constexpr std::string_view kSocketSuffix = ".kv";

Result<net::Address> beside(const net::Address& listen) {
  return net::Address::parse("unix:" + listen.unix_path + std::string{kSocketSuffix});
}

/// Fills `listen`, and `directory` if the socket needs one.
Result<void> choose_listener(const Options& options, const net::Address& http, KvSetup& setup) {
  const std::string& wanted = options.kv.listen;
  if (wanted == "none" || (wanted == "auto" && options.role != Role::kPrefill)) return {};
  if (wanted != "auto") {
    LLMD_TRY(setup.listen, net::Address::parse(wanted));
    return {};
  }
  if (http.is_unix()) {
    LLMD_TRY(setup.listen, beside(http));
    return {};
  }
  LLMD_TRY(setup.directory, RuntimeDirectory::create("worker"));
  LLMD_TRY(setup.listen, net::Address::parse("unix:" + setup.directory->file("kv.sock")));
  return {};
}

std::string folder_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  return fmt::format("unix:{}/", whole.parent_path().string());
}

std::vector<std::string> peers_of_this_machine(const net::Address& http, const KvSetup& setup) {
  std::vector<std::string> peers{"127.0.0.0/8", "[::1]", "localhost", fmt::format("unix:{}/", runtime_base_path())};
  if (http.is_unix()) peers.push_back(folder_of(http.unix_path));
  if (setup.listen && setup.listen->is_unix()) peers.push_back(folder_of(setup.listen->unix_path));
  return peers;
}

}  // namespace

KvSetup KvSetup::of_endpoint(std::uint32_t index) const {
  KvSetup setup{.listen = listen,
                .advertised_host = advertised_host,
                .peers = peers,
                .lease = lease,
                .pull_timeout = pull_timeout,
                .directory = nullptr};
  if (!setup.listen || index == 0) return setup;
  if (setup.listen->is_unix()) {
    setup.listen->unix_path += fmt::format("-{}", index);
  } else if (setup.listen->port != 0) {
    setup.listen->port = static_cast<std::uint16_t>(setup.listen->port + index);
  }
  return setup;
}

Result<KvSetup> make_kv_setup(const Options& options) {
  KvSetup setup;
  setup.lease = options.kv.lease;
  setup.pull_timeout = options.kv.pull_timeout;
  LLMD_TRY(const net::Address http, net::Address::parse(options.listen));
  LLMD_TRY_VOID(choose_listener(options, http, setup));
  if (setup.listen && !setup.listen->is_unix()) {
    setup.advertised_host = options.kv.advertise.empty() ? setup.listen->host : options.kv.advertise;
  }
  const bool given = !options.kv.peers.empty();
  LLMD_TRY(setup.peers, kvtransfer::PeerList::parse(given ? options.kv.peers : peers_of_this_machine(http, setup)));
  return setup;
}

}  // namespace llmd::worker
