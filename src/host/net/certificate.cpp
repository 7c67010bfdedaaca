#include "net/certificate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>

#include "net/pem.h"

namespace llmd::net {
namespace {

constexpr int kKeyBits = 2048;
constexpr std::size_t kFileBytesMax = 1024 * 1024;

template <class Value, class Write>
std::string pem_of(Value* value, Write write) {
  const BioPointer bio{BIO_new(BIO_s_mem())};
  if (!bio || write(bio.get(), value) != 1) return {};
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension{
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), X509_EXTENSION_free};
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    const bool is_ip =
        inet_pton(AF_INET, name.c_str(), address.data()) == 1 || inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", is_ip ? "IP" : "DNS", name);
  }
  return text;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, 8> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return false;
  random[0] &= 0x7f;  // positive
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number{
      BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr), BN_free};
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool fill(X509* certificate, X509* issuer, EVP_PKEY* key, const CertificateRequest& request) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto* const text = reinterpret_cast<const unsigned char*>(request.organization.c_str());
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), request.valid_since.count()) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), request.valid_for.count()) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
         X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, issuer, NID_basic_constraints,
                       request.is_authority ? "critical,CA:TRUE" : "CA:FALSE") &&
         add_extension(certificate, issuer, NID_key_usage,
                       request.is_authority ? "critical,keyCertSign" : "critical,digitalSignature,keyEncipherment") &&
         (request.is_authority || add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth")) &&
         (request.names.empty() ||
          add_extension(certificate, issuer, NID_subject_alt_name, alternative_names(request.names)));
}

}  // namespace

Result<Certificate> issue_certificate(const CertificateRequest& request) {
  const auto failed = [] { return fail(ErrorCode::kInternal, "a certificate cannot be made: " + openssl_reason()); };
  const KeyPointer key{EVP_RSA_gen(kKeyBits)};
  const X509Pointer certificate{X509_new()};
  if (!key || !certificate) return failed();
  X509Pointer issuer;
  KeyPointer issuer_key;
  if (request.issuer != nullptr) {
    LLMD_TRY(auto chain, read_certificates(request.issuer->certificate));
    LLMD_TRY(issuer_key, read_key(request.issuer->key));
    issuer = std::move(chain.front());
  }
  X509* const by = issuer ? issuer.get() : certificate.get();
  if (!fill(certificate.get(), by, key.get(), request) ||
      X509_sign(certificate.get(), issuer_key ? issuer_key.get() : key.get(), EVP_sha256()) == 0)
    return failed();
  return Certificate{.certificate = pem_of(certificate.get(), PEM_write_bio_X509),
                     .key = pem_of(key.get(), [](BIO* bio, EVP_PKEY* of) {
                       return PEM_write_bio_PrivateKey(bio, of, nullptr, nullptr, 0, nullptr, nullptr);
                     })};
}

Result<std::string> read_pem_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) return fail(ErrorCode::kFileNotFound, fmt::format("cannot read {}", path));
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax || text.find("-----BEGIN ") == std::string::npos)
    return fail(ErrorCode::kFileInvalid, fmt::format("{} is no PEM file", path));
  return text;
}

}  // namespace llmd::net
