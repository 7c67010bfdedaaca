// links: llmd_dispatch
// The relay of upstreams' event streams over any bytes, cut at any place: no crash, what it hands on and what it holds
// are the bytes that came, in order, and only whole events are handed on. A relay that leaves the usage out hands on no
// byte that did not come.
#include "dispatch/sse_relay.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view stream{reinterpret_cast<const char*>(data) + 1, size - 1};
  llmd::dispatch::SseRelay relay;
  llmd::dispatch::SseRelay hiding{llmd::dispatch::SseRelay::Usage::kHide};
  std::string out;
  std::string shown;
  for (std::size_t at = 0; at < stream.size();) {
    const std::string piece{stream.substr(at, 1 + (data[0] + at) % 61)};
    at += piece.size();
    const std::string_view ready = relay.feed(piece);
    if (!ready.empty() && !ready.ends_with('\n')) std::abort();
    out += ready;
    shown += hiding.feed(piece);
  }
  if (out.size() + relay.held_bytes() != stream.size() || !stream.starts_with(out)) std::abort();
  if (shown.size() > out.size() || hiding.events() > relay.events()) std::abort();
  std::size_t at = 0;
  for (const char byte : shown) {
    at = out.find(byte, at);
    if (at++ == std::string::npos) std::abort();
  }
  return 0;
}
