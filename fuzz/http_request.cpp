// links: llmd_net
// The server's parsers over any bytes: what is found does not depend on where the bytes are cut, and a head that is
// taken keeps its promises (one length at most, no control characters, an absolute path).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/http_parser.h"

namespace {

using llmd::net::BodyKind;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_head(std::string_view head, std::size_t& body_at, BodyKind& kind) {
  llmd::net::Request request;
  const auto framing = llmd::net::parse_request_head(head, request);
  if (!framing) {
    require(!framing.error().what.empty());
    return;
  }
  require(request.target.front() == '/' || request.target == "*");
  require(request.path().size() + request.query().size() <= request.target.size());
  for (const auto& [name, value] : request.headers) {
    require(!name.empty() && name.find_first_of(std::string_view{" :\r\n\0", 5}) == std::string::npos);
    require(value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string::npos);
  }
  const bool has_length = request.headers.get("content-length").has_value();
  const bool is_chunked = request.headers.get("transfer-encoding").has_value();
  require(!(has_length && is_chunked));
  require(framing->body != BodyKind::kUntilClose);
  body_at = head.size();
  kind = framing->body;
}

std::string decode(std::string_view text, std::size_t step) {
  llmd::net::ChunkedDecoder decoder;
  std::string out;
  std::size_t used = 0;
  while (used < text.size() && !decoder.done()) {
    const auto piece = decoder.next(text.substr(used, step));
    if (!piece) return out + "!error";
    require(piece->consumed > 0 && piece->data.size() <= piece->consumed);
    out += piece->data;
    used += piece->consumed;
  }
  return out + (decoder.done() ? "!done" + std::to_string(used) : "!more");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  llmd::net::HeadScanner whole;
  const auto at_once = whole.scan(text);
  llmd::net::HeadScanner bitwise;
  llmd::Result<std::size_t> stepped = std::size_t{0};
  for (std::size_t end = 0; end <= size && stepped && *stepped == 0; ++end) stepped = bitwise.scan(text.substr(0, end));
  require(at_once.has_value() == stepped.has_value());
  if (at_once) require(*at_once == *stepped);
  std::size_t body_at = 0;
  BodyKind kind = BodyKind::kChunked;
  if (at_once && *at_once > 0) check_head(text.substr(0, *at_once), body_at, kind);
  if (kind == BodyKind::kChunked) require(decode(text.substr(body_at), size + 1) == decode(text.substr(body_at), 1));
  if (const auto address = llmd::net::Address::parse(text)) {
    require(llmd::net::Address::parse(address->to_string()) == *address);
  }
  return 0;
}
