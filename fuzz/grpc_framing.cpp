// links: llmd_rpc
// The messages of a gRPC call out of any bytes, plain and with gzip: they do not depend on where the bytes are cut, and
// none is longer than the limit. The first byte chooses the coding, the size of the pieces, and whether the bytes are
// records (a mark, a length, so many bytes) that become framed messages whose gzip is sound.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/gzip.h"
#include "rpc/message_reader.h"
#include "rpc/server.h"
#include "rpc/status.h"
#include "rpc/testing/gzip.h"

namespace {

using llmd::rpc::Encoding;
using llmd::rpc::MessageReader;

constexpr std::size_t kMessageMax = 300;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string framed(std::string_view records) {
  std::string out;
  while (records.size() >= 2) {
    const char mark = static_cast<char>(records[0] & 1);
    const std::size_t times = 1U + static_cast<unsigned char>(records[0]) / 2U;
    std::string text;
    const std::string_view body = records.substr(2, static_cast<unsigned char>(records[1]));
    records.remove_prefix(2 + body.size());
    for (std::size_t i = 0; i < times; ++i) text += body;
    if (mark != 0) text = llmd::testkit::gzip(text);
    std::string head = llmd::rpc::message_head(text.size());
    head[0] = mark;
    out += head + text;
  }
  return out;
}

std::vector<std::string> read(Encoding encoding, std::string_view bytes, std::size_t piece) {
  MessageReader reader{kMessageMax, encoding};
  std::vector<std::string> messages;
  while (!bytes.empty()) {
    const auto taken = reader.take(bytes.substr(0, piece), messages);
    if (!taken) {
      require(!taken.error().what.empty());
      messages.push_back("!" + taken.error().what);
      break;
    }
    require(reader.pending_bytes() <= kMessageMax + 5);
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  for (const std::string& message : messages) require(message.size() <= kMessageMax);
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
  const Encoding encoding = (data[0] & 1U) != 0 ? Encoding::kGzip : Encoding::kIdentity;
  const std::string bytes = (data[0] & 2U) != 0 ? framed(rest) : std::string{rest};
  require(read(encoding, bytes, 1U + data[0] / 4U) == read(encoding, bytes, bytes.size() + 1));
  if (const auto inflated = llmd::rpc::inflate_gzip(rest, kMessageMax)) require(inflated->size() <= kMessageMax);
  if (const auto timeout = llmd::rpc::parse_timeout(rest)) require(timeout->count() >= 0);
  for (const char c : llmd::rpc::percent_encoded(rest)) require(c >= ' ' && c <= '~');
  return 0;
}
