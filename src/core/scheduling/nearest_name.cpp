#include "scheduling/nearest_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace llmd::scheduling {
namespace {

constexpr std::size_t kListedMax = 16;  // of a hint
constexpr std::size_t kLengthMax = 64;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::size_t, kLengthMax + 1> row{};
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known) {
  if (name.size() > kLengthMax) return {};
  std::string_view nearest;
  std::size_t edits = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    if (candidate.size() > kLengthMax) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < edits) {
      edits = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string nearest_name_hint(std::string_view name, std::span<const std::string_view> known) {
  if (const std::string_view nearest = nearest_name(name, known); !nearest.empty())
    return fmt::format("did you mean {}?", nearest);
  if (known.empty()) return "none is known here";
  const auto listed = known.first(std::min(known.size(), kListedMax));
  const std::size_t more = known.size() - listed.size();
  return fmt::format("known: {}{}", fmt::join(listed, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

}  // namespace llmd::scheduling
