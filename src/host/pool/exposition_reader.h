#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::pool {

/// The names of series that a reader wants, made for being asked about every line of a page: most lines are turned away
/// by their first eight bytes. Immutable once filled; shared by all readers.
class SeriesNames {
 public:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  /// The number of `name` from now on, 0, 1, 2 in order; the same for the same name.
  std::size_t add(std::string_view name);
  /// kNone for an unknown name. No allocation; some 10 ns.
  [[nodiscard]] std::size_t find(std::string_view name) const noexcept;
  /// Whether a line that begins so may carry one of the names.
  [[nodiscard]] bool may_begin(std::string_view line) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

 private:
  [[nodiscard]] std::size_t slot_of(std::string_view name) const noexcept;
  void place(std::size_t number);

  std::vector<std::string> names_;
  std::vector<std::uint16_t> slots_;  // number + 1; a power of two of them, at most half in use
  std::array<std::uint64_t, 4> begins_{};
  bool all_begin_ = false;  // a name is shorter than what begins_ looks at
};

/// The labels of one sample, in the order of the page.
class LabelReader {
 public:
  /// `labels` as on_sample gets them, with their braces.
  explicit LabelReader(std::string_view labels) noexcept : rest_{labels} {}
  struct Label {
    std::string_view name;
    std::string_view value;  // escapes as they are
  };
  [[nodiscard]] std::optional<Label> next() noexcept;
  /// The value of the first label of this name.
  [[nodiscard]] static std::optional<std::string_view> find(std::string_view labels, std::string_view name) noexcept;
  /// The same; empty if there is none.
  [[nodiscard]] static std::string_view value_of(std::string_view labels, std::string_view name) noexcept {
    return find(labels, name).value_or(std::string_view{});
  }
  /// Whether a value of the page, with its escapes, says `text`.
  [[nodiscard]] static bool same(std::string_view value, std::string_view text) noexcept;

 private:
  std::string_view rest_;
};

/// A number of the text format in its whole length ("3", "3e2", "+Inf", "NaN"); no value for anything else.
[[nodiscard]] std::optional<double> read_number(std::string_view text) noexcept;

/// Reads a Prometheus text page piece by piece, as it comes off the socket, and hands on the samples whose names are
/// wanted. Bounded: holds at most one line (kLineBytesMax; longer ones are skipped), reads at most kPageBytesMax. The
/// page comes from another process and is not trusted: any bytes are accepted, and what is not understood is skipped.
/// One page at a time; not thread-safe; allocates nothing beyond one line. About 10 GB/s of lines that nobody wants.
class ExpositionReader {
 public:
  static constexpr std::size_t kLineBytesMax = 16 * 1024;
  static constexpr std::size_t kPageBytesMax = 16 * 1024 * 1024;

  /// `wanted` must outlive it.
  explicit ExpositionReader(const SeriesNames& wanted) noexcept : wanted_{&wanted} {}
  virtual ~ExpositionReader() = default;
  ExpositionReader(const ExpositionReader&) = delete;
  ExpositionReader& operator=(const ExpositionReader&) = delete;

  /// Error kBodyTooLarge beyond kPageBytesMax; what was read so far stays valid.
  [[nodiscard]] Result<void> feed(std::string_view bytes);

 protected:
  struct Sample {
    std::size_t name = 0;       // its number in `wanted`
    std::string_view labels{};  // with braces; empty if there are none
    double value = 0;
    std::optional<std::int64_t> timestamp{};  // ms
  };
  virtual void on_sample(const Sample& sample) = 0;
  /// The end of the page: a last line without newline counts.
  void end_page();

 private:
  void line(std::string_view text);

  const SeriesNames* wanted_;
  std::string partial_;
  std::size_t bytes_ = 0;
  bool skipping_ = false;  // inside a line longer than kLineBytesMax
};

}  // namespace llmd::pool
