#include "kube/access.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace llmd::kube {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;
constexpr std::string_view kAccount = "/var/run/secrets/kubernetes.io/serviceaccount/";

Result<std::string> read_file(const std::string& path) {
  std::ifstream stream{path, std::ios::binary};
  if (!stream) return fail(ErrorCode::kFileNotFound, fmt::format("{} cannot be read", path));
  std::string text(kFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kFileBytesMax)
    return fail(ErrorCode::kFileInvalid, fmt::format("{} is larger than {} bytes", path, kFileBytesMax));
  return text;
}

Result<std::string> from_base64(std::string text, std::string_view what) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  std::string bytes(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return fail(ErrorCode::kConfigInvalid, fmt::format("{} is not base64", what));
  const auto padding =
      static_cast<std::size_t>(std::count(text.end() - std::min<std::ptrdiff_t>(2, std::ssize(text)), text.end(), '='));
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

class KubeConfig {
 public:
  KubeConfig(YAML::Node root, std::string file) : root_{std::move(root)}, file_{std::move(file)} {}

  Result<Access> access() {
    LLMD_TRY(const YAML::Node context, named("contexts", "context", text(root_, "current-context")));
    LLMD_TRY(const YAML::Node cluster, named("clusters", "cluster", text(context, "cluster")));
    LLMD_TRY(const YAML::Node user, named("users", "user", text(context, "user")));
    Access access;
    for (const char* refused : {"exec", "auth-provider"}) {
      if (user[refused]) return bad(fmt::format("the user has {}, which is not supported", refused));
    }
    if (cluster["proxy-url"]) return bad("the cluster has proxy-url, which is not supported");
    LLMD_TRY(access.server, net::Address::parse_url(text(cluster, "server")));
    if (access.server.port == 0) access.server.port = 443;
    access.insecure = text(cluster, "insecure-skip-tls-verify") == "true";
    access.server_name = text(cluster, "tls-server-name");
    LLMD_TRY(access.ca, data(cluster, "certificate-authority"));
    LLMD_TRY(access.certificate, data(user, "client-certificate"));
    LLMD_TRY(access.key, data(user, "client-key"));
    access.token = text(user, "token");
    if (const std::string path = text(user, "tokenFile"); !path.empty()) access.token_file = resolved(path);
    access.ns = text(context, "namespace");
    return access;
  }

 private:
  [[nodiscard]] std::unexpected<Error> bad(const std::string& what) const {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {}", file_, what));
  }
  [[nodiscard]] static std::string text(const YAML::Node& node, const char* name) {
    const YAML::Node found = node.IsMap() ? node[name] : YAML::Node{};
    return found && found.IsScalar() ? found.Scalar() : std::string{};
  }
  [[nodiscard]] std::string resolved(const std::string& path) const {
    return (std::filesystem::path{file_}.parent_path() / path).string();
  }
  [[nodiscard]] Result<YAML::Node> named(const char* list, const char* kind, const std::string& name) const {
    const YAML::Node all = root_[list];
    if (all && all.IsSequence()) {
      for (const auto& entry : all) {
        if (entry.IsMap() && text(entry, "name") == name && entry[kind].IsDefined() && entry[kind].IsMap())
          return entry[kind];
      }
    }
    return bad(fmt::format("there is no {} named \"{}\"", kind, name));
  }
  /// NAME-data in base64, or the file NAME; empty without either.
  [[nodiscard]] Result<std::string> data(const YAML::Node& node, const std::string& name) const {
    const std::string inlined = text(node, (name + "-data").c_str());
    if (!inlined.empty()) return from_base64(inlined, fmt::format("{}: {}-data", file_, name));
    const std::string path = text(node, name.c_str());
    if (path.empty()) return std::string{};
    return read_file(resolved(path));
  }

  YAML::Node root_;
  std::string file_;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

Result<Access> in_cluster(const std::string& host) {
  Access access;
  const bool six = host.find(':') != std::string::npos;
  LLMD_TRY(access.server, net::Address::parse_url(fmt::format(fmt::runtime(six ? "https://[{}]:{}" : "https://{}:{}"),
                                                              host, variable("KUBERNETES_SERVICE_PORT"))));
  const std::string account{kAccount};
  LLMD_TRY(access.ca, read_file(account + "ca.crt"));
  access.token_file = account + "token";
  access.ns = read_file(account + "namespace").value_or("");
  return access;
}

Result<Access> of_file(const std::string& file) {
  LLMD_TRY(const std::string text, read_file(file));
  return read_kubeconfig(text, file);
}

}  // namespace

Result<Access> read_kubeconfig(std::string_view text, const std::string& file) {
  try {
    const YAML::Node root = YAML::Load(std::string{text});
    if (!root.IsMap()) return fail(ErrorCode::kConfigInvalid, fmt::format("{}: not a kubeconfig", file));
    return KubeConfig{root, file}.access();
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}:{}: {}", file, error.mark.line + 1, error.msg));
  }
}

Result<Access> find_access() {
  if (const std::string files = variable("KUBECONFIG"); !files.empty())
    return of_file(files.substr(0, files.find(':')));
  if (const std::string host = variable("KUBERNETES_SERVICE_HOST"); !host.empty()) return in_cluster(host);
  const std::string own = variable("HOME") + "/.kube/config";
  if (std::filesystem::exists(own)) return of_file(own);
  return fail(ErrorCode::kConfigInvalid, "there is no way to the Kubernetes API server",
              "set KUBECONFIG, or run in a pod with a service account");
}

}  // namespace llmd::kube
