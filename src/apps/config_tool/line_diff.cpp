#include "apps/config_tool/line_diff.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmd::config {
namespace {

constexpr std::size_t kContext = 3;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

struct Line {
  char mark;  // ' ' in both, '-' only before, '+' only after
  std::string_view text;
};

std::vector<Line> compare(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::uint32_t> common((a.size() + 1) * width, 0);  // of the rests from here
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;) {
      common[i * width + j] = a[i] == b[j] ? common[(i + 1) * width + j + 1] + 1
                                           : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  std::vector<Line> lines;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      lines.push_back({' ', a[i]});
      ++i;
      ++j;
    } else if (j == b.size() || (i < a.size() && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      lines.push_back({'-', a[i++]});
    } else {
      lines.push_back({'+', b[j++]});
    }
  }
  return lines;
}

}  // namespace

std::string line_diff(std::string_view before, std::string_view after) {
  const std::vector<Line> lines = compare(lines_of(before), lines_of(after));
  std::string out;
  std::size_t shown = 0;  // lines before this one are done
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].mark == ' ') continue;
    const std::size_t begin = std::max(shown, i < kContext ? 0 : i - kContext);
    if (begin > shown) out += "...\n";
    std::size_t end = i + 1;
    while (end < lines.size() && lines[end].mark != ' ') ++end;
    for (std::size_t k = begin; k < end; ++k) {
      out += lines[k].mark;
      out += lines[k].text;
      out += '\n';
    }
    const std::size_t tail = std::min(lines.size(), end + kContext);
    std::size_t k = end;
    for (; k < tail && lines[k].mark == ' '; ++k) {
      out += ' ';
      out += lines[k].text;
      out += '\n';
    }
    shown = k;
    i = k - 1;
  }
  if (!out.empty() && shown < lines.size()) out += "...\n";
  return out;
}

}  // namespace llmd::config
