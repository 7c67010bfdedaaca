#include "simulation/workloads/mooncake_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <system_error>

namespace llmd::simulation {
namespace {

constexpr std::array<std::string_view, 4> kKeys{"timestamp", "input_length", "output_length", "hash_ids"};
constexpr std::size_t kShownMax = 16;

struct Bounds {
  std::uint64_t min;
  std::uint64_t max;
};
constexpr Bounds kLengthBounds{1, kMooncakeTokensMax};

class RowParser {
 public:
  explicit RowParser(std::string_view line) : line_{line} {}

  Result<MooncakeRow> parse() {
    LLMD_TRY_VOID(expect('{'));
    std::array<bool, kKeys.size()> seen{};
    do {
      LLMD_TRY_VOID(member(seen));
    } while (take(','));
    if (const auto missing = std::ranges::find(seen, false); missing != seen.end()) {
      return wrong(
          fmt::format("expected \"{}\", which is missing", kKeys[static_cast<std::size_t>(missing - seen.begin())]));
    }
    LLMD_TRY_VOID(expect('}'));
    skip_space();
    if (at_ < line_.size()) return wrong("expected the end of the line");
    return std::move(row_);
  }

 private:
  Result<void> member(std::array<bool, kKeys.size()>& seen) {
    LLMD_TRY(const std::size_t key, this->key(seen));
    LLMD_TRY_VOID(expect(':'));
    switch (key) {
      case 0: return number({0, kMooncakeTimestampMaxMs}, row_.timestamp_ms);
      case 1: return number(kLengthBounds, row_.input_tokens);
      case 2: return number(kLengthBounds, row_.output_tokens);
      default: return hash_ids();
    }
  }

  Result<std::size_t> key(std::array<bool, kKeys.size()>& seen) {
    skip_space();
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      const std::string quoted = fmt::format("\"{}\"", kKeys[i]);
      if (!line_.substr(at_).starts_with(quoted)) continue;
      if (seen[i]) return wrong("the key stands twice");
      seen[i] = true;
      at_ += quoted.size();
      return i;
    }
    return wrong(fmt::format("expected one of the keys \"{}\"", fmt::join(kKeys, "\", \"")));
  }

  Result<void> hash_ids() {
    LLMD_TRY_VOID(expect('['));
    if (take(']')) return {};
    do {
      skip_space();
      if (row_.hash_ids.size() == kMooncakeBlocksMax) {
        return wrong(fmt::format("expected at most {} hash_ids", kMooncakeBlocksMax));
      }
      LLMD_TRY_VOID(number({0, kMooncakeHashIdMax}, row_.hash_ids.emplace_back()));
    } while (take(','));
    return expect(']');
  }

  template <class T>
  Result<void> number(Bounds bounds, T& into) {
    skip_space();
    const char* const first = line_.data() + at_;
    const char* const last = line_.data() + line_.size();
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(first, last, value);
    const bool leading_zero = end - first > 1 && *first == '0';  // JSON has none
    if (failed != std::errc{} || leading_zero || value < bounds.min || value > bounds.max) {
      return wrong(fmt::format("expected a whole number from {} to {}", bounds.min, bounds.max));
    }
    at_ += static_cast<std::size_t>(end - first);
    into = static_cast<T>(value);
    return {};
  }

  void skip_space() { at_ = std::min(line_.find_first_not_of(" \t\r\n", at_), line_.size()); }

  bool take(char wanted) {
    skip_space();
    if (at_ == line_.size() || line_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  Result<void> expect(char wanted) {
    if (take(wanted)) return {};
    return wrong(fmt::format("expected '{}'", wanted));
  }

  [[nodiscard]] std::unexpected<Error> wrong(std::string_view expected) const {
    std::string shown{line_.substr(at_, kShownMax)};
    // The text may be anything; what is logged is one line of ASCII.
    std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
    if (shown.empty()) shown = "the end";
    return fail(ErrorCode::kFileInvalid, fmt::format("column {}: {}; found: {}", at_ + 1, expected, shown));
  }

  std::string_view line_;
  std::size_t at_ = 0;
  MooncakeRow row_{};
};

}  // namespace

Result<MooncakeRow> parse_mooncake_row(std::string_view line) { return RowParser{line}.parse(); }

}  // namespace llmd::simulation
