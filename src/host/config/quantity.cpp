#include "config/quantity.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace llmd::config {
namespace {

constexpr std::pair<std::string_view, long double> kSuffixes[] = {
    {"", 1.0L},        {"n", 1e-9L},      {"u", 1e-6L},      {"m", 1e-3L},     {"k", 1e3L},       {"M", 1e6L},
    {"G", 1e9L},       {"T", 1e12L},      {"P", 1e15L},      {"E", 1e18L},     {"Ki", 0x1.0p10L}, {"Mi", 0x1.0p20L},
    {"Gi", 0x1.0p30L}, {"Ti", 0x1.0p40L}, {"Pi", 0x1.0p50L}, {"Ei", 0x1.0p60L}};

std::optional<long double> scale_of(std::string_view suffix) noexcept {
  for (const auto& [name, scale] : kSuffixes) {
    if (suffix == name) return scale;
  }
  if (suffix.size() < 2 || (suffix.front() != 'e' && suffix.front() != 'E')) return std::nullopt;
  suffix.remove_prefix(1);
  if (suffix.front() == '+') suffix.remove_prefix(1);
  int exponent = 0;
  const auto [rest, status] = std::from_chars(suffix.data(), suffix.data() + suffix.size(), exponent);
  if (status != std::errc{} || rest != suffix.data() + suffix.size() || exponent < -30 || exponent > 30)
    return std::nullopt;
  return std::pow(10.0L, static_cast<long double>(exponent));
}

}  // namespace

std::optional<std::int64_t> parse_quantity(std::string_view text) noexcept {
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.empty() || text.front() == '-') return std::nullopt;
  long double number = 0;
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (status != std::errc{}) return std::nullopt;
  const auto scale = scale_of(text.substr(static_cast<std::size_t>(rest - text.data())));
  if (!scale) return std::nullopt;
  const long double value = std::ceil(number * *scale);
  if (!(value < static_cast<long double>(std::numeric_limits<std::int64_t>::max()))) return std::nullopt;
  return negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
}

}  // namespace llmd::config
