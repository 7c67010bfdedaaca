#include "discovery/dns_lookup.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fmt/format.h>
#include <netdb.h>
#include <resolv.h>

#include <algorithm>
#include <vector>

namespace llmd::discovery {
namespace {

constexpr std::size_t kAnswerBytesMax = 65'535;
constexpr int kTimeoutSeconds = 1;  // of one try at one server; doubles with each
constexpr int kTries = 2;

/// The resolver's state of one question.
class Resolver {
 public:
  Resolver() : usable_{res_ninit(&state_) == 0} {}
  ~Resolver() {
    if (usable_) res_nclose(&state_);
  }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  [[nodiscard]] bool usable() const noexcept { return usable_; }
  [[nodiscard]] struct __res_state& state() noexcept { return state_; }

 private:
  struct __res_state state_{};
  bool usable_;
};

int type_of(DnsType type) {
  switch (type) {
    case DnsType::kA: return ns_t_a;
    case DnsType::kAaaa: return ns_t_aaaa;
    case DnsType::kSrv: return ns_t_srv;
  }
  return ns_t_a;
}

Result<void> point_at(struct __res_state& state, const DnsOptions& options) {
  if (options.server_ip.empty()) return {};
  sockaddr_in& server = state.nsaddr_list[0];
  server = {};
  server.sin_family = AF_INET;
  server.sin_port = htons(options.server_port);
  if (inet_pton(AF_INET, options.server_ip.c_str(), &server.sin_addr) != 1)
    return fail(ErrorCode::kAddressInvalid, fmt::format("DNS server \"{}\" is no IPv4 address", options.server_ip));
  state.nscount = 1;
  return {};
}

}  // namespace

Result<DnsAnswer> look_up(const std::string& name, DnsType type, const DnsOptions& options) {
  Resolver resolver;
  if (!resolver.usable()) return fail(ErrorCode::kIo, "the resolver cannot be set up");
  struct __res_state& state = resolver.state();
  state.retrans = kTimeoutSeconds;
  state.retry = kTries;
  LLMD_TRY_VOID(point_at(state, options));
  std::vector<std::uint8_t> message(kAnswerBytesMax);
  const int bytes = res_nsearch(&state, name.c_str(), ns_c_in, type_of(type), message.data(), kAnswerBytesMax);
  if (bytes >= 0)
    return read_dns_answer({message.data(), static_cast<std::size_t>(std::min<int>(bytes, kAnswerBytesMax))});
  switch (state.res_h_errno) {
    case NO_DATA: return DnsAnswer{};
    case HOST_NOT_FOUND: return fail(ErrorCode::kNotFound, fmt::format("DNS knows no name {}", name));
    default: return fail(ErrorCode::kUpstreamTimeout, fmt::format("no DNS server answers for {}", name));
  }
}

}  // namespace llmd::discovery
