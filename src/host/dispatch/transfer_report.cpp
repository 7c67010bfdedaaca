#include "dispatch/transfer_report.h"

#include <charconv>
#include <system_error>

namespace llmd::dispatch {
namespace {

/// The number behind `name=` in the comma list. Names are whole members, so "bytes" does not match "rx_bytes".
template <class Number>
std::optional<Number> member(std::string_view list, std::string_view name) noexcept {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    item.remove_prefix(item.find_first_not_of(' ') == std::string_view::npos ? item.size()
                                                                             : item.find_first_not_of(' '));
    if (!item.starts_with(name) || item.substr(name.size(), 1) != "=") continue;
    item.remove_prefix(name.size() + 1);
    Number number{};
    const auto [end, status] = std::from_chars(item.data(), item.data() + item.size(), number);
    if (status != std::errc{} || end != item.data() + item.size()) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

}  // namespace

std::optional<TransferReport> parse_transfer_report(std::string_view header) noexcept {
  const auto blocks = member<std::uint64_t>(header, "blocks");
  const auto bytes = member<std::uint64_t>(header, "bytes");
  const auto recomputed_tokens = member<std::uint32_t>(header, "recomputed_tokens");
  if (!blocks || !bytes || !recomputed_tokens) return std::nullopt;
  return TransferReport{.blocks = *blocks, .bytes = *bytes, .recomputed_tokens = *recomputed_tokens};
}

}  // namespace llmd::dispatch
