#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "net/address.h"

namespace llmd::kube {

/// Where the API server is, and who we are to it.
struct Access {
  net::Address server;
  std::string ca{};  // PEM; empty: the system's roots
  bool insecure = false;
  std::string server_name{};  // that its certificate must be of; empty: the address's host
  std::string certificate{};  // PEM, of a client certificate, with its key
  std::string key{};
  std::string token{};
  std::string token_file{};  // read again each minute; wins over `token`
  std::string ns{};          // of the context, or of the pod; may be empty
};

/// A kubeconfig's current context (YAML or JSON). `folder`: what its relative paths are below. Errors: kConfigInvalid
/// (names the file and what is missing; exec plugins, auth providers and proxies are refused), kFileNotFound.
[[nodiscard]] Result<Access> read_kubeconfig(std::string_view text, const std::string& file);

/// As client-go finds it: the first file of KUBECONFIG, else the pod's service account, else ~/.kube/config.
/// Errors: as above; kConfigInvalid if there is none of them.
[[nodiscard]] Result<Access> find_access();

}  // namespace llmd::kube
