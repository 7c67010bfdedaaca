// links: llmd_net
// The parser of server-sent events over any bytes: events do not depend on where the stream is cut (the first byte says
// where), and an event that is written again reads back the same.
#include "net/sse.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

/// Events of `text` in steps, as one comparable text; false if the parser refuses it.
bool events_of(std::string_view text, std::size_t step, std::string& out) {
  constexpr std::size_t kEventBytesMax = 512;
  llmd::net::SseParser parser{kEventBytesMax};
  for (std::size_t at = 0; at < text.size(); at += step) {
    const auto events = parser.feed(text.substr(at, step));
    if (!events) return false;
    for (const llmd::net::SseEvent& event : *events) {
      require(event.data.size() + event.event.size() <= kEventBytesMax + 1);
      out += event.event + "\x01" + event.data + "\x02" + event.id + "\x03";
    }
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  std::string whole;
  std::string stepped;
  const bool whole_taken = events_of(text, size, whole);
  const bool stepped_taken = events_of(text, 1U + data[0] % 7U, stepped);
  require(whole_taken == stepped_taken);
  if (whole_taken) require(whole == stepped);

  llmd::net::SseParser parser;
  const auto again = parser.feed(llmd::net::format_event(text));
  require(again && again->size() == 1);
  std::string normal;  // line ends become LF
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    normal += text[i] == '\r' ? '\n' : text[i];
  }
  require((*again)[0].data == normal);
  return 0;
}
