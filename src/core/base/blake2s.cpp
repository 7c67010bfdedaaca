#include "base/blake2s.h"

#include <openssl/evp.h>

namespace llmd {

Digest256 blake2s256(std::string_view text) noexcept {
  Digest256 digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_blake2s256(), nullptr);
  return digest;
}

}  // namespace llmd
