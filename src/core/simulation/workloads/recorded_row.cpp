#include "simulation/workloads/recorded_row.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <limits>

#include "simulation/workloads/mooncake_row.h"
#include "simulation/workloads/trace_line.h"

namespace llmd::simulation {
namespace {

constexpr std::size_t kTextBytesMax = 6 * 1'024;  // what 1,024 bytes are at most, escaped
constexpr double kMillisecondsMax = 1e10;

class RowParser {
 public:
  explicit RowParser(std::string_view line) : line_{line} {}

  Result<RecordedRow> parse() {
    LLMD_TRY_VOID(line_.expect('{'));
    do {
      LLMD_TRY_VOID(member());
    } while (line_.take(','));
    for (std::size_t i = 0; i < kFields.size(); ++i) {
      if (kFields[i].required && !seen_[i])
        return line_.wrong(fmt::format("expected \"{}\", which is missing", kFields[i].key));
    }
    if (row_.block_ids.size() != row_.input_tokens / row_.block_tokens) {
      return line_.wrong(fmt::format("expected one of block_ids for each {} tokens of {}, not {}", row_.block_tokens,
                                     row_.input_tokens, row_.block_ids.size()));
    }
    LLMD_TRY_VOID(line_.expect('}'));
    LLMD_TRY_VOID(line_.expect_end());
    return std::move(row_);
  }

 private:
  struct Field {
    std::string_view key;
    Result<void> (RowParser::*read)();
    bool required = false;
  };
  static const std::array<Field, 21> kFields;

  Result<void> member() {
    line_.skip_space();
    for (std::size_t i = 0; i < kFields.size(); ++i) {
      TraceLine after = line_;
      if (!after.take_string(kFields[i].key)) continue;
      if (seen_[i]) return line_.wrong("the key stands twice");
      seen_[i] = true;
      line_ = after;
      LLMD_TRY_VOID(line_.expect(':'));
      return (this->*kFields[i].read)();
    }
    return line_.wrong("expected a key of the recorded log");
  }

  template <class T>
  Result<void> whole(TraceLine::Bounds bounds, T& into) {
    LLMD_TRY(const std::uint64_t value, line_.number(bounds));
    into = static_cast<T>(value);
    return {};
  }

  Result<void> ids(std::size_t most, std::vector<std::uint64_t>& into) {
    LLMD_TRY_VOID(line_.expect('['));
    if (line_.take(']')) return {};
    do {
      if (into.size() == most) return line_.wrong(fmt::format("expected at most {} ids", most));
      LLMD_TRY_VOID(whole({0, kMooncakeHashIdMax}, into.emplace_back()));
    } while (line_.take(','));
    return line_.expect(']');
  }

  Result<void> objective(std::optional<float>& into) {
    LLMD_TRY(const double value, line_.real(0, kMillisecondsMax));
    const auto milliseconds = static_cast<float>(value);
    if (milliseconds > 0) into = milliseconds;  // 0 is none, as in the header that it comes from
    return {};
  }

  Result<void> timestamp() { return whole({0, kMooncakeTimestampMaxMs}, row_.timestamp_ms); }
  Result<void> input() { return whole({1, kRecordedTokensMax}, row_.input_tokens); }
  Result<void> output() { return whole({1, kRecordedTokensMax}, row_.output_tokens); }
  Result<void> block_tokens() { return whole({1, kRecordedBlockTokensMax}, row_.block_tokens); }
  Result<void> block_ids() { return ids(kRecordedBlocksMax, row_.block_ids); }
  Result<void> hash_ids() {
    std::vector<std::uint64_t> coarse;  // the same blocks for readers of Mooncake's traces
    return ids(kMooncakeBlocksMax, coarse);
  }
  Result<void> status() { return whole({0, 999}, row_.status); }
  Result<void> session() { return whole({0, kMooncakeHashIdMax}, row_.session); }
  Result<void> fairness() { return whole({0, kMooncakeHashIdMax}, row_.fairness); }
  Result<void> priority() {
    constexpr double kMin = std::numeric_limits<std::int32_t>::min();
    constexpr double kMax = std::numeric_limits<std::int32_t>::max();
    const TraceLine before = line_;
    LLMD_TRY(const double value, line_.real(kMin, kMax));
    row_.priority = static_cast<std::int32_t>(value);
    if (static_cast<double>(row_.priority) == value) return {};
    return before.wrong("expected a whole number");
  }
  Result<void> slo_ttft() { return objective(row_.slo_ttft_ms); }
  Result<void> slo_tpot() { return objective(row_.slo_tpot_ms); }
  Result<void> text() {
    LLMD_TRY_VOID(line_.raw_string(kTextBytesMax));
    return {};
  }
  Result<void> endpoint() {
    LLMD_TRY(row_.endpoint, line_.raw_string(kTextBytesMax));
    return {};
  }
  Result<void> count() {
    std::uint64_t dropped = 0;
    return whole({0, kRecordedTokensMax}, dropped);
  }
  Result<void> time() {
    LLMD_TRY_VOID(line_.real(0, kMillisecondsMax));
    return {};
  }

  TraceLine line_;
  std::array<bool, 21> seen_{};
  RecordedRow row_{};
};

constexpr std::array<RowParser::Field, 21> RowParser::kFields{{
    {"timestamp", &RowParser::timestamp, true},
    {"input_length", &RowParser::input, true},
    {"output_length", &RowParser::output, true},
    {"hash_ids", &RowParser::hash_ids},
    {"block_tokens", &RowParser::block_tokens, true},
    {"block_ids", &RowParser::block_ids, true},
    {"model", &RowParser::text},
    {"counted", &RowParser::text},
    {"session", &RowParser::session},
    {"fairness", &RowParser::fairness},
    {"priority", &RowParser::priority},
    {"max_tokens", &RowParser::count},
    {"slo_ttft_ms", &RowParser::slo_ttft},
    {"slo_tpot_ms", &RowParser::slo_tpot},
    {"endpoint", &RowParser::endpoint},
    {"prefill_endpoint", &RowParser::text},
    {"status", &RowParser::status, true},
    {"retries", &RowParser::count},
    {"ttft_ms", &RowParser::time},
    {"e2e_ms", &RowParser::time},
    {"cached_tokens", &RowParser::count},
}};

}  // namespace

bool looks_recorded(std::string_view line) noexcept { return line.find("\"block_ids\"") != std::string_view::npos; }

Result<RecordedRow> parse_recorded_row(std::string_view line) { return RowParser{line}.parse(); }

}  // namespace llmd::simulation
