#include "config/entry_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace llmd::config {
namespace {

constexpr std::size_t kNameBytesMax = 63;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

}  // namespace

Result<std::string> entry_name(const ObjectDecoder& decode, const YamlNode& node, std::string_view what) {
  LLMD_TRY(std::string name, decode.text(node, what));
  if (is_name(name)) return name;
  return decode.fail_at(node, fmt::format("{} is \"{}\"; expected 1 to {} letters, digits, '-', '_', '.' and '/'", what,
                                          name.substr(0, 64), kNameBytesMax));
}

}  // namespace llmd::config
