// links: llmd_net
// An HTTP/2 connection over any bytes. What requests are found does not depend on where the bytes are cut; each stream
// is told once that it is gone, also if it answers; no more are open than the limit allows. The first byte chooses
// whether the client's preface stands before the rest, and the size of the pieces.
#include "net/h2_session.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

namespace {

using llmd::net::H2Limits;
using llmd::net::H2Reset;
using llmd::net::H2Session;
using llmd::net::H2StreamId;
using llmd::net::Request;

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr H2Limits kLimits{.streams_max = 8, .header_bytes_max = 2'000, .stream_window_bytes = 1'000};

struct Seen {
  std::string head;
  std::string body;
  bool ended = false;
  auto operator<=>(const Seen&) const = default;
};

struct Stream final : llmd::net::H2Stream {
  Stream(H2Session& on, H2StreamId number, Seen& into, bool answers) : session{on}, id{number}, seen{into} {
    if (!answers) return;
    session.send_head(id, 200, {});
    session.send_data(id, llmd::net::own("answer"));
  }
  ~Stream() override { require(closed); }
  void on_data(std::string_view bytes) override {
    require(!closed && !seen.ended && !bytes.empty());
    seen.body += bytes;
    session.consume(id, bytes.size());
    session.send_data(id, llmd::net::own(std::string{bytes}));
  }
  void on_end() override {
    require(!closed && !seen.ended);
    seen.ended = true;
    session.send_end(id);
  }
  void on_close(H2Reset /*reason*/) override {
    require(!closed);
    closed = true;
  }
  void on_sent() override { require(!closed); }
  H2Session& session;
  H2StreamId id;
  Seen& seen;
  bool closed = false;
};

void send_all(H2Session& session) {
  for (auto pieces = session.output(); !pieces.empty(); pieces = session.output()) {
    std::size_t bytes = 0;
    for (const iovec& piece : pieces) bytes += piece.iov_len;
    require(bytes > 0);
    session.sent(bytes);
  }
}

std::map<H2StreamId, Seen> play(std::string_view bytes, std::size_t piece, bool answers) {
  std::map<H2StreamId, Seen> seen;
  std::size_t open = 0;
  H2Session* self = nullptr;
  H2Session session{kLimits, [&](H2StreamId id, Request head) {
                      Seen& into = seen[id];
                      into.head = head.method + " " + head.target;
                      for (const auto& [name, value] : head.headers) into.head += "\n" + name + ": " + value;
                      require(into.head.size() <= kLimits.header_bytes_max);
                      return std::make_shared<Stream>(*self, id, into, answers);
                    }};
  self = &session;
  while (!bytes.empty()) {
    const std::string_view now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    const bool taken = session.receive(now).has_value();
    open = std::max(open, session.streams());
    if (answers) send_all(session);
    if (!taken || session.done()) break;
  }
  require(open <= kLimits.streams_max);
  send_all(session);
  session.close();
  require(session.streams() == 0 && session.output().empty());
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  using namespace std::string_view_literals;
  if ((data[0] & 1U) != 0) bytes.insert(0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"sv);
  const std::size_t piece = 1U + data[0] / 2U;
  require(play(bytes, piece, /*answers=*/false) == play(bytes, bytes.size() + 1, /*answers=*/false));
  play(bytes, piece, /*answers=*/true);
  return 0;
}
