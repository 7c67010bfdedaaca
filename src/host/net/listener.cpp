#include "net/listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace llmd::net {
namespace {

constexpr int kBacklog = 4'096;  // the kernel cuts it to net.core.somaxconn
constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

std::unexpected<Error> bind_error(const Address& address, int number) {
  if (number == EADDRINUSE) {
    return fail(
        ErrorCode::kAddressInUse, fmt::format("{} is taken by another process", address.to_string()),
        address.is_unix() ? "stop it, or choose another path" : "stop it, choose another port, or 0 for any free one");
  }
  const ErrorCode code = number == EADDRNOTAVAIL || number == EACCES || number == ENOENT || number == ENOTDIR
                             ? ErrorCode::kAddressInvalid
                             : ErrorCode::kIo;
  return fail(code, fmt::format("cannot listen on {}: {}", address.to_string(), std::strerror(number)));
}

sockaddr_un unix_sockaddr(const std::string& path) noexcept {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path.data(), std::min(path.size(), sizeof to.sun_path - 1));
  return to;
}

/// Whether the file at `path` is a socket that nobody listens on, as a killed process leaves it.
bool is_stale_socket(const std::string& path) noexcept {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, kSocketFlags, 0);
  if (probe < 0) return false;
  const sockaddr_un to = unix_sockaddr(path);
  const int connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  const bool refused = connected != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

Result<int> open_unix(const Address& address, unsigned mode) {
  const int fd = ::socket(AF_UNIX, kSocketFlags, 0);
  if (fd < 0) return bind_error(address, errno);
  const sockaddr_un to = unix_sockaddr(address.unix_path);
  const auto bind_it = [&] { return ::bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to); };
  int bound = bind_it();
  if (bound != 0 && errno == EADDRINUSE && is_stale_socket(address.unix_path)) {
    ::unlink(address.unix_path.c_str());
    bound = bind_it();
  }
  // Nobody can connect before listen(), so the mode holds from the first connection on.
  if (bound == 0 && ::chmod(address.unix_path.c_str(), mode) == 0 && ::listen(fd, kBacklog) == 0) return fd;
  const int number = errno;
  ::close(fd);
  if (bound == 0) ::unlink(address.unix_path.c_str());
  return bind_error(address, number);
}

Result<int> open_tcp(Address& address) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(address.port);
  if (const int failed = ::getaddrinfo(address.host.c_str(), port.c_str(), &wanted, &list); failed != 0) {
    return fail(ErrorCode::kAddressInvalid, fmt::format("host {}: {}", address.host, ::gai_strerror(failed)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner{list, &::freeaddrinfo};
  const int fd = ::socket(list->ai_family, kSocketFlags, 0);
  if (fd < 0) return bind_error(address, errno);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // no wait for old connections; a listener still refuses
  if (address.host == "::") {
    const int off = 0;  // IPv4, too, whatever the machine's default
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(fd, list->ai_addr, list->ai_addrlen) != 0 || ::listen(fd, kBacklog) != 0) {
    const int number = errno;
    ::close(fd);
    return bind_error(address, number);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
  address.port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                                   : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  return fd;
}

Result<int> open_everywhere(Address& address) {
  address.host = "::";
  auto both = open_tcp(address);
  if (both || both.error().code == ErrorCode::kAddressInUse) return both;
  address.host = "0.0.0.0";
  return open_tcp(address);
}

ino_t inode_of(const std::string& path) noexcept {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

Result<Listener> Listener::open(const Address& address, unsigned unix_mode) {
  Address bound = address;
  LLMD_TRY(const int fd, bound.is_unix()      ? open_unix(bound, unix_mode)
                         : bound.host.empty() ? open_everywhere(bound)
                                              : open_tcp(bound));
  Listener listener{fd, std::move(bound)};
  if (listener.address_.is_unix()) listener.inode_ = inode_of(listener.address_.unix_path);
  return listener;
}

Listener::Listener(Listener&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, address_{std::move(other.address_)}, inode_{other.inode_} {}

Listener& Listener::operator=(Listener&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(address_, other.address_);
  std::swap(inode_, other.inode_);
  return *this;
}

Listener::~Listener() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (address_.is_unix() && inode_of(address_.unix_path) == inode_) ::unlink(address_.unix_path.c_str());
}

std::string peer_name(int fd) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return "unknown";
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (peer.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(peer);
    ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(address.sin_port));
  }
  if (peer.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(peer);
    if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
      ::inet_ntop(AF_INET, &address.sin6_addr.s6_addr[12], text.data(), text.size());
      return fmt::format("{}:{}", text.data(), ntohs(address.sin6_port));
    }
    ::inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(address.sin6_port));
  }
  ucred credentials{};
  length = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return "unix:unknown";
  return fmt::format("unix:uid={}", credentials.uid);
}

}  // namespace llmd::net
