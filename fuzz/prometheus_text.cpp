// links: llmd_exporters
// The merger of Prometheus pages over any bytes: what it writes it reads again without dropping a line, and does not
// change.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "exporters/page_merger.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  llmd::PageMerger merger;
  merger.add(text.substr(0, size / 2));
  merger.add(text.substr(size / 2), "worker", text.substr(0, size / 8));
  merger.add(text, "worker", "other");
  const std::string page = merger.render();
  llmd::PageMerger again;
  again.add(page);
  if (again.dropped_lines() != 0 || again.render() != page) std::abort();
  return 0;
}
