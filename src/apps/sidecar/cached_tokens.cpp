#include "apps/sidecar/cached_tokens.h"

#include <charconv>
#include <utility>

#include "api/openai/body_edits.h"

namespace llmd::sidecar {
namespace {

constexpr std::string_view kData = "data: ";
constexpr std::string_view kUsage = "\"usage\"";
constexpr std::string_view kDetails = "prompt_tokens_details";

}  // namespace

std::string with_cached_tokens(std::string_view json, std::uint32_t cached_tokens) {
  if (json.find(kUsage) == std::string_view::npos) return std::string{json};
  std::string body{json};
  const auto usage = openai::raw_member(body, "usage");
  if (!usage || !*usage || !(*usage)->starts_with('{')) return std::string{json};
  std::string counts{**usage};
  const auto details = openai::raw_member(counts, kDetails);
  if (!details) return std::string{json};
  const std::string count = std::to_string(cached_tokens);
  const bool is_object = *details && (*details)->starts_with('{');
  // A path of two dots leads into what is there; what is missing or null is made anew.
  const pd::FieldEdits edits{is_object
                                 ? pd::set_field("usage.prompt_tokens_details.cached_tokens", count)
                                 : pd::set_field("usage.prompt_tokens_details", "{\"cached_tokens\":" + count + "}")};
  auto changed = openai::edited(json, edits);
  return changed ? *std::move(changed) : std::string{json};
}

std::uint32_t cached_tokens_of(std::string& json) {
  const auto usage = openai::raw_member(json, "usage");
  if (!usage || !*usage) return 0;
  std::string counts{**usage};
  const auto details = openai::raw_member(counts, kDetails);
  if (!details || !*details) return 0;
  std::string inner{**details};
  const auto cached = openai::raw_member(inner, "cached_tokens");
  if (!cached || !*cached) return 0;
  std::uint32_t count = 0;
  const std::string_view text = **cached;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), count);
  return status == std::errc{} && end == text.data() + text.size() ? count : 0;
}

std::string_view CachedTokensStream::feed(std::string_view piece) {
  ready_.clear();
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end == std::string_view::npos ? end : end + 1);
    piece.remove_prefix(part.size());
    const bool complete = end != std::string_view::npos;
    if (passes_ || held_.size() + part.size() > kLineBytesMax) {
      ready_ += std::exchange(held_, {});
      ready_ += part;
      passes_ = !complete;
    } else if (!complete) {
      held_ += part;
    } else if (held_.empty()) {
      append_line(part);
    } else {
      held_ += part;
      append_line(std::exchange(held_, {}));
    }
  }
  return ready_;
}

std::string_view CachedTokensStream::finish() {
  ready_.clear();
  append_line(std::exchange(held_, {}));
  return ready_;
}

void CachedTokensStream::append_line(std::string_view line) {
  std::string_view text = line;
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  if (!text.starts_with(kData)) {
    ready_ += line;
    return;
  }
  ready_ += kData;
  ready_ += with_cached_tokens(text.substr(kData.size()), cached_tokens_);
  ready_ += line.substr(text.size());
}

}  // namespace llmd::sidecar
