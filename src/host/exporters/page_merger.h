#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace llmd {

/// Several Prometheus text pages as one: families that stand on more than one page come out once, with the HELP and
/// TYPE seen first, and every series of another process gets a label that says whose it is. Pages are not trusted:
/// lines that are no valid samples are dropped and counted, as is what is beyond the bounds. One object a page; not
/// thread-safe; about 1 us a line.
class PageMerger {
 public:
  static constexpr std::size_t kPageBytesMax = 16 * 1024 * 1024;  // of all pages; what is beyond is dropped
  static constexpr std::size_t kLineBytesMax = 16 * 1024;
  static constexpr std::size_t kFamiliesMax = 10'000;

  /// A page as it is: that of this process. First, so that its HELP and TYPE count.
  void add(std::string_view page) { add_page(page, {}, {}); }
  /// A page whose series get `label`="`value`" as their first label. A label of that name which they have already
  /// becomes exported_`label`, as Prometheus does it.
  void add(std::string_view page, std::string_view label, std::string_view value) { add_page(page, label, value); }

  /// Lines dropped so far: malformed, of a family with another TYPE, given twice, or beyond a bound.
  [[nodiscard]] std::size_t dropped_lines() const noexcept { return dropped_lines_; }
  [[nodiscard]] std::string render() const;

 private:
  struct Family {
    std::string help;  // rest of the line, as it came
    std::string type;
    std::string samples;  // whole lines
  };
  struct PageState;

  void add_page(std::string_view page, std::string_view label, std::string_view value);
  void add_line(std::string_view line, PageState& state);
  void add_comment(std::string_view line, PageState& state);
  [[nodiscard]] bool add_sample(std::string_view line, PageState& state);
  [[nodiscard]] bool parts_have_samples(std::string_view name) const;
  [[nodiscard]] Family* family(std::string_view name);

  std::map<std::string, std::size_t, std::less<>> index_;  // of `families_`, by name
  std::vector<std::pair<std::string, Family>> families_;   // in the order in which they came
  std::unordered_set<std::string> seen_;                   // name and labels of each series
  std::size_t bytes_ = 0;
  std::size_t dropped_lines_ = 0;
};

}  // namespace llmd
