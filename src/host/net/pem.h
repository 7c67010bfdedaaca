#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::net {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* value) const noexcept {
    Free(value);
  }
};
using BioPointer = std::unique_ptr<BIO, OpensslFree<&BIO_free_all>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, OpensslFree<&EVP_PKEY_free>>;
using X509Pointer = std::unique_ptr<X509, OpensslFree<&X509_free>>;

/// The certificates of a PEM text, in order. Error kFileInvalid: none, or one that is damaged.
[[nodiscard]] Result<std::vector<X509Pointer>> read_certificates(std::string_view pem);
/// The first private key of a PEM text. Error kFileInvalid: none, or one with a password.
[[nodiscard]] Result<KeyPointer> read_key(std::string_view pem);

/// What OpenSSL says of its last failure on this thread, which it then forgets.
[[nodiscard]] std::string openssl_reason();

}  // namespace llmd::net
