#include "kvtransfer/peer_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include "net/http.h"

namespace llmd::kvtransfer {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t kEntriesMax = 1'024;

std::unexpected<Error> bad_entry(std::string_view text, std::string_view reason) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("peer \"{}\": {}", text.substr(0, 200), reason),
              "write HOST, HOST:PORT, NETWORK/BITS, unix:/path or unix:/folder/");
}

std::vector<std::uint8_t> bytes_of(const ip::address& address) {
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto bytes = address.to_v6().to_bytes();
  return {bytes.begin(), bytes.end()};
}

std::optional<ip::address> address_of(const std::string& text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(text, error);
  return error ? std::nullopt : std::optional{address};
}

/// Free of "." and "..", so that a path below a folder is what it looks like.
bool is_plain(std::string_view path) {
  return path.starts_with('/') && std::filesystem::path{path}.lexically_normal().string() == path;
}

bool same_prefix(std::span<const std::uint8_t> left, std::span<const std::uint8_t> right, unsigned bits) {
  if (left.size() != right.size()) return false;
  for (unsigned i = 0; i < bits; ++i) {
    const unsigned mask = 0x80U >> (i % 8);
    if ((left[i / 8] & mask) != (right[i / 8] & mask)) return false;
  }
  return true;
}

}  // namespace

Result<PeerList::Entry> PeerList::parse_entry(const std::string& text) {
  constexpr std::string_view kUnix = "unix:";
  Entry entry;
  if (text.starts_with(kUnix)) {
    entry.unix_path = text.substr(kUnix.size());
    if (!is_plain(entry.unix_path)) return bad_entry(text, "the path is not absolute, or has . or .. in it");
    return entry;
  }
  if (const std::size_t slash = text.find('/'); slash != std::string::npos) {
    const auto address = address_of(text.substr(0, slash));
    if (!address) return bad_entry(text, "the network is not an IP address");
    entry.network.bytes = bytes_of(*address);
    const char* end = text.data() + text.size();
    const auto [rest, status] = std::from_chars(text.data() + slash + 1, end, entry.network.bits);
    if (status != std::errc{} || rest != end || entry.network.bits > entry.network.bytes.size() * 8) {
      return bad_entry(text, "the number of bits is wrong");
    }
    return entry;
  }
  const bool has_port = text.ends_with(']') ? false : text.find(':') != std::string::npos;
  const auto address = net::Address::parse(has_port ? text : text + ":0");
  if (!address || text.starts_with("http:")) return bad_entry(text, "the host or port is wrong");
  entry.host = address->host;
  entry.port = address->port;
  return entry;
}

Result<PeerList> PeerList::parse(std::span<const std::string> entries) {
  PeerList list;
  if (entries.size() > kEntriesMax) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{} peers; expected at most {}", entries.size(), kEntriesMax),
                "allow a network instead");
  }
  for (const std::string& text : entries) {
    LLMD_TRY(Entry entry, parse_entry(text));
    list.entries_.push_back(std::move(entry));
  }
  return list;
}

bool PeerList::fits(const Entry& entry, const net::Address& peer) {
  if (peer.is_unix()) {
    if (entry.unix_path.empty()) return false;
    if (!entry.unix_path.ends_with('/')) return peer.unix_path == entry.unix_path;
    return peer.unix_path.starts_with(entry.unix_path);
  }
  if (!entry.host.empty()) {
    return net::equals_ignoring_case(entry.host, peer.host) && (entry.port == 0 || entry.port == peer.port);
  }
  if (entry.network.bytes.empty()) return false;
  const auto address = address_of(peer.host);
  return address && same_prefix(entry.network.bytes, bytes_of(*address), entry.network.bits);
}

Result<void> PeerList::check(const net::Address& peer) const {
  const bool plain = !peer.is_unix() || is_plain(peer.unix_path);
  if (plain && std::ranges::any_of(entries_, [&](const Entry& entry) { return fits(entry, peer); })) return {};
  return fail(ErrorCode::kPeerNotAllowed, fmt::format("blocks may not be pulled from {}", peer.to_string()),
              "name it in --kv-peers if this worker may connect to it");
}

}  // namespace llmd::kvtransfer
