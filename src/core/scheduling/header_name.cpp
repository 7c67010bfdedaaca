#include "scheduling/header_name.h"

namespace llmd::scheduling {

std::string_view without_blanks(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string trimmed(std::string_view text) { return std::string{without_blanks(text)}; }

std::string header_name(std::string_view text) {
  std::string name = trimmed(text);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace llmd::scheduling
