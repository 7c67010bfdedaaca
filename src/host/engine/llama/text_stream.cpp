#include "engine/llama/text_stream.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace llmd::engine {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

std::uint8_t byte_at(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

/// Length that a lead byte announces; 0 if it is none.
std::size_t announced_bytes(std::uint8_t lead) noexcept {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

bool continues(std::uint8_t byte) noexcept { return (byte & 0xc0U) == 0x80; }

/// The second byte is narrower after some leads: no overlong forms, surrogates, or values above U+10FFFF.
bool second_fits(std::uint8_t lead, std::uint8_t second) noexcept {
  switch (lead) {
    case 0xe0: return second >= 0xa0;
    case 0xed: return second < 0xa0;
    case 0xf0: return second >= 0x90;
    case 0xf4: return second < 0x90;
    default: return true;
  }
}

/// Bytes of `text` from `at` that form the beginning of one character, at most what its lead announces; 0 if invalid
/// there.
std::size_t character_bytes(std::string_view text, std::size_t at) noexcept {
  const std::uint8_t lead = byte_at(text, at);
  const std::size_t announced = announced_bytes(lead);
  std::size_t bytes = announced == 0 ? 0 : 1;
  while (bytes < announced && at + bytes < text.size()) {
    const std::uint8_t next = byte_at(text, at + bytes);
    if (!continues(next) || (bytes == 1 && !second_fits(lead, next))) break;
    ++bytes;
  }
  return bytes;
}

}  // namespace

std::size_t incomplete_utf8_bytes(std::string_view text) noexcept {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const std::size_t at = text.size() - back;
    if (continues(byte_at(text, at))) continue;
    const bool cut = announced_bytes(byte_at(text, at)) > back && character_bytes(text, at) == back;
    return cut ? back : 0;
  }
  return 0;
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character_bytes(text, at);
    if (bytes != 0 && bytes == announced_bytes(byte_at(text, at))) {
      valid.append(text.substr(at, bytes));
      at += bytes;
    } else {
      valid.append(kReplacement);
      at += std::max<std::size_t>(1, bytes);
    }
  }
  return valid;
}

TextStream::TextStream(std::vector<std::string> stops) : stops_{std::move(stops)} {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
  for (const std::string& stop : stops_) stop_bytes_max_ = std::max(stop_bytes_max_, stop.size());
}

TextStream::Shown TextStream::add(std::string_view bytes) {
  held_ += bytes;
  if (!bytes.empty()) token_bytes_.push_back(bytes.size());
  // The one that is complete first, so that how the text is cut into tokens plays no part.
  std::size_t first = 0;
  std::size_t first_end = std::string::npos;
  std::optional<std::size_t> reached;
  for (std::size_t i = 0; i < stops_.size(); ++i) {
    const std::size_t at = held_.find(stops_[i]);
    if (at == std::string::npos) continue;
    const std::size_t end = at + stops_[i].size();
    if (end > first_end || (end == first_end && at >= first)) continue;
    first = at;
    first_end = end;
    reached = i;
  }
  if (reached) {
    Shown shown{.pieces = show(first), .stop = reached};
    held_.clear();
    token_bytes_.clear();
    return shown;
  }
  const std::size_t hold = std::max(possible_stop_bytes(), incomplete_utf8_bytes(held_));
  return {.pieces = show(held_.size() - hold), .stop = {}};
}

std::vector<TextStream::Piece> TextStream::finish() { return show(held_.size()); }

/// Takes so many bytes out of what is held, cut where tokens end.
std::vector<TextStream::Piece> TextStream::show(std::size_t bytes) {
  std::vector<Piece> pieces;
  std::size_t from = 0;
  std::size_t to = 0;
  while (to < bytes) {
    const std::size_t of_token = std::min(token_bytes_.front(), bytes - to);
    to += of_token;
    token_bytes_.front() -= of_token;
    if (token_bytes_.front() == 0) token_bytes_.pop_front();
    std::string_view part = std::string_view{held_}.substr(from, to - from);
    if (to < bytes) part.remove_suffix(incomplete_utf8_bytes(part));
    if (part.empty()) continue;
    pieces.push_back({.text = valid_utf8(part), .bytes = part.size()});
    from += part.size();
  }
  held_.erase(0, bytes);
  return pieces;
}

/// The longest end of what is held that a stop string begins with.
std::size_t TextStream::possible_stop_bytes() const noexcept {
  if (stop_bytes_max_ == 0) return 0;
  const std::string_view held{held_};
  for (std::size_t bytes = std::min(held.size(), stop_bytes_max_ - 1); bytes > 0; --bytes) {
    const std::string_view end = held.substr(held.size() - bytes);
    const bool begins =
        std::any_of(stops_.begin(), stops_.end(), [&](const std::string& stop) { return stop.starts_with(end); });
    if (begins) return bytes;
  }
  return 0;
}

}  // namespace llmd::engine
