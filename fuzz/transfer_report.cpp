// links: llmd_dispatch
// The header in which a decode worker tells what was moved, over any bytes: no crash, and what was read, written again,
// reads the same.
#include "dispatch/transfer_report.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view header{reinterpret_cast<const char*>(data), size};
  const auto report = llmd::dispatch::parse_transfer_report(header);
  if (!report) return 0;
  for (const std::string_view name : {"blocks=", "bytes=", "recomputed_tokens="}) {
    if (header.find(name) == std::string_view::npos) std::abort();
  }
  const std::string written = fmt::format("x=1, recomputed_tokens={}, blocks={}, bytes={}", report->recomputed_tokens,
                                          report->blocks, report->bytes);
  if (llmd::dispatch::parse_transfer_report(written) != report) std::abort();
  return 0;
}
