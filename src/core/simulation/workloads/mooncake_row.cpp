#include "simulation/workloads/mooncake_row.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "simulation/workloads/trace_line.h"

namespace llmd::simulation {
namespace {

constexpr std::array<std::string_view, 4> kKeys{"timestamp", "input_length", "output_length", "hash_ids"};
constexpr TraceLine::Bounds kLengthBounds{1, kMooncakeTokensMax};

class RowParser {
 public:
  explicit RowParser(std::string_view line) : line_{line} {}

  Result<MooncakeRow> parse() {
    LLMD_TRY_VOID(line_.expect('{'));
    std::array<bool, kKeys.size()> seen{};
    do {
      LLMD_TRY_VOID(member(seen));
    } while (line_.take(','));
    if (const auto missing = std::ranges::find(seen, false); missing != seen.end()) {
      return line_.wrong(
          fmt::format("expected \"{}\", which is missing", kKeys[static_cast<std::size_t>(missing - seen.begin())]));
    }
    LLMD_TRY_VOID(line_.expect('}'));
    LLMD_TRY_VOID(line_.expect_end());
    return std::move(row_);
  }

 private:
  Result<void> member(std::array<bool, kKeys.size()>& seen) {
    LLMD_TRY(const std::size_t key, this->key(seen));
    LLMD_TRY_VOID(line_.expect(':'));
    switch (key) {
      case 0: return number({0, kMooncakeTimestampMaxMs}, row_.timestamp_ms);
      case 1: return number(kLengthBounds, row_.input_tokens);
      case 2: return number(kLengthBounds, row_.output_tokens);
      default: return hash_ids();
    }
  }

  Result<std::size_t> key(std::array<bool, kKeys.size()>& seen) {
    line_.skip_space();
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      TraceLine after = line_;
      if (!after.take_string(kKeys[i])) continue;
      if (seen[i]) return line_.wrong("the key stands twice");
      seen[i] = true;
      line_ = after;
      return i;
    }
    return line_.wrong(fmt::format("expected one of the keys \"{}\"", fmt::join(kKeys, "\", \"")));
  }

  Result<void> hash_ids() {
    LLMD_TRY_VOID(line_.expect('['));
    if (line_.take(']')) return {};
    do {
      if (row_.hash_ids.size() == kMooncakeBlocksMax) {
        return line_.wrong(fmt::format("expected at most {} hash_ids", kMooncakeBlocksMax));
      }
      LLMD_TRY_VOID(number({0, kMooncakeHashIdMax}, row_.hash_ids.emplace_back()));
    } while (line_.take(','));
    return line_.expect(']');
  }

  template <class T>
  Result<void> number(TraceLine::Bounds bounds, T& into) {
    LLMD_TRY(const std::uint64_t value, line_.number(bounds));
    into = static_cast<T>(value);
    return {};
  }

  TraceLine line_;
  MooncakeRow row_{};
};

}  // namespace

Result<MooncakeRow> parse_mooncake_row(std::string_view line) { return RowParser{line}.parse(); }

}  // namespace llmd::simulation
