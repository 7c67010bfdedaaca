// links: llmd_kube
// A watch's bytes, and a list, over any bytes: no crash; how the bytes are cut makes no difference; objects are JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "kube/watch_decoder.h"

namespace {

using llmd::kube::WatchDecoder;
using llmd::kube::WatchEvent;

/// True: all of it was read.
bool read(std::string_view text, std::size_t piece, std::vector<WatchEvent>& events) {
  WatchDecoder decoder;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (!decoder.feed(text.substr(at, piece), events)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  std::vector<WatchEvent> whole;
  std::vector<WatchEvent> cut;
  if (read(text, size + 1, whole) != read(text, 7, cut) || whole.size() != cut.size()) std::abort();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].object.json != cut[i].object.json || whole[i].kind != cut[i].kind) std::abort();
    if (!whole[i].object.json.starts_with('{')) std::abort();
  }
  if (const auto page = llmd::kube::read_list(text); page && page->resource_version.empty()) std::abort();
  return 0;
}
