// links: llmd_net
// The client's parser over any bytes, the first byte choosing the method: each answer is taken whole or blamed on the
// peer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/http_parser.h"

namespace {

using llmd::net::BodyKind;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Reads the body as the client does. The bytes that belong to it.
std::size_t body_bytes(const llmd::net::Framing& framing, std::string_view rest) {
  if (framing.body == BodyKind::kNone) return 0;
  if (framing.body == BodyKind::kLength) return rest.substr(0, framing.content_length).size();
  if (framing.body == BodyKind::kUntilClose) return rest.size();
  llmd::net::ChunkedDecoder decoder;
  std::size_t used = 0;
  while (used < rest.size() && !decoder.done()) {
    const auto piece = decoder.next(rest.substr(used));
    if (!piece) return used;
    require(piece->consumed > 0);
    used += piece->consumed;
  }
  return used;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view method = data[0] == 'H' ? "HEAD" : "GET";
  std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  while (!text.empty()) {  // interim answers, then one, then whatever follows on the connection
    llmd::net::HeadScanner scanner;
    const auto head_bytes = scanner.scan(text);
    if (!head_bytes || *head_bytes == 0) return 0;
    int status = 0;
    llmd::net::Headers headers;
    const auto framing = llmd::net::parse_response_head(text.substr(0, *head_bytes), method, status, headers);
    if (!framing) {
      require(framing.error().code == llmd::ErrorCode::kProtocol);
      return 0;
    }
    require(status >= 100 && status <= 999);
    require(framing->body == BodyKind::kNone || method != "HEAD");
    require(framing->body != BodyKind::kUntilClose || !framing->keep_alive);
    text.remove_prefix(*head_bytes);
    text.remove_prefix(body_bytes(*framing, text));
  }
  return 0;
}
