#include "net/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <utility>

namespace llmd::net {
namespace {

BioPointer bio_of(std::string_view text) {
  return BioPointer{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// OpenSSL would ask the terminal.
int no_password(char* /*to*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string text = reason == nullptr ? "no reason is known" : reason;
  ERR_clear_error();
  return text;
}

Result<std::vector<X509Pointer>> read_certificates(std::string_view pem) {
  const BioPointer bio = bio_of(pem);
  std::vector<X509Pointer> all;
  ERR_clear_error();
  while (X509Pointer next{PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)}) all.push_back(std::move(next));
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = openssl_reason();
  if (!at_end) return fail(ErrorCode::kFileInvalid, "a certificate is damaged: " + reason);
  if (all.empty()) return fail(ErrorCode::kFileInvalid, "there is no certificate in the PEM text");
  return all;
}

Result<KeyPointer> read_key(std::string_view pem) {
  const BioPointer bio = bio_of(pem);
  ERR_clear_error();
  KeyPointer key{PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr)};
  if (!key) {
    return fail(ErrorCode::kFileInvalid,
                "there is no private key without a password in the PEM text: " + openssl_reason());
  }
  return key;
}

}  // namespace llmd::net
