#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace llmd::net {

/// A certificate and its key, each as PEM. The certificate may be followed by those that lead to its root.
struct Certificate {
  std::string certificate;
  std::string key;
};

struct CertificateRequest {
  std::string organization;
  std::vector<std::string> names{};       // host names and IP addresses that it is valid for
  std::chrono::seconds valid_since{-60};  // from now: clocks differ
  std::chrono::seconds valid_for{std::chrono::hours{24 * 365 * 10}};
  const Certificate* issuer = nullptr;  // null: it signs itself
  bool is_authority = false;            // may issue others
};

/// Makes an RSA key of 2048 bits and a certificate of it; some 100 ms. Error kInternal: OpenSSL could not.
[[nodiscard]] Result<Certificate> issue_certificate(const CertificateRequest& request);

/// Reads a PEM file of at most 1 MiB. Errors: kFileNotFound, kFileInvalid (longer, or no PEM in it).
[[nodiscard]] Result<std::string> read_pem_file(const std::string& path);

}  // namespace llmd::net
