#include "api/openai/credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace llmd::openai {
namespace {

/// Pre: the key is not empty.
bool is_key(std::string_view key, std::string_view given) noexcept {
  // Every byte of `given` is compared with some byte of the key, so only the length given shows in the time.
  unsigned difference = given.size() == key.size() ? 0U : 1U;
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(key[i % key.size()]);
  }
  return difference == 0;
}

}  // namespace

bool authorized(std::string_view key, std::optional<std::string_view> authorization) noexcept {
  if (key.empty()) return true;
  if (!authorization) return false;
  std::string_view given = *authorization;
  constexpr std::string_view kScheme = "bearer ";
  if (given.size() < kScheme.size()) return false;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(given[i])) != kScheme[i]) return false;
  }
  given.remove_prefix(kScheme.size());
  while (given.starts_with(' ')) given.remove_prefix(1);
  while (given.ends_with(' ')) given.remove_suffix(1);
  return is_key(key, given);
}

bool authorized(std::string_view key, const GivenKeys& given) noexcept {
  return authorized(key, given.authorization) || (given.x_api_key && is_key(key, *given.x_api_key));
}

std::optional<std::string> accept_request_id(std::optional<std::string_view> header) {
  constexpr std::size_t kIdBytesMax = 128;
  const auto allowed = [](unsigned char byte) {
    return std::isalnum(byte) != 0 || byte == '.' || byte == '_' || byte == ':' || byte == '-';
  };
  if (!header || header->empty() || header->size() > kIdBytesMax) return std::nullopt;
  if (!std::all_of(header->begin(), header->end(), allowed)) return std::nullopt;
  return std::string{*header};
}

std::string make_request_id(std::uint64_t random_high, std::uint32_t random_low) {
  return fmt::format("{:016x}{:08x}", random_high, random_low);
}

}  // namespace llmd::openai
