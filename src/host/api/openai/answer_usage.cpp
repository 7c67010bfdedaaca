#include "api/openai/answer_usage.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

#include "api/requests/byte_search.h"

namespace llmd::openai {
namespace {

constexpr std::array<std::string_view, 2> kKeys{R"("usage")", R"("meta_info")"};
constexpr std::string_view kBlank = " \t\r\n";

/// The number behind `"name":` in a small object. Some servers write it as a string.
std::optional<std::uint32_t> number_of(std::string_view object, std::string_view quoted_name) {
  const std::size_t at = object.find(quoted_name);
  if (at == std::string_view::npos) return std::nullopt;
  object.remove_prefix(at + quoted_name.size());
  const std::size_t digit = object.find_first_not_of(" \t\r\n:\"");
  if (digit == std::string_view::npos) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, status] = std::from_chars(object.data() + digit, object.data() + object.size(), value);
  return status == std::errc{} ? std::optional{value} : std::nullopt;
}

std::optional<std::uint32_t> number_of(std::string_view object, std::string_view name, std::string_view other) {
  const auto value = number_of(object, name);
  return value ? value : number_of(object, other);
}

/// Behind the brace that closes the object at the front; npos if that is not there.
std::size_t end_of_object(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

PartialUsage counts_in(std::string_view object) {
  return {.prompt_tokens = number_of(object, R"("prompt_tokens")", R"("input_tokens")"),
          .cached_tokens = number_of(object, R"("cached_tokens")", R"("cache_read_input_tokens")"),
          .completion_tokens = number_of(object, R"("completion_tokens")", R"("output_tokens")"),
          .total_tokens = number_of(object, R"("total_tokens")")};
}

/// What stands behind a key.
struct Candidate {
  std::string_view object{};  // empty: no object
  bool cut = false;           // the text ends before it is known or complete
};

Candidate object_behind(std::string_view text, std::size_t key_end) {
  std::size_t at = text.find_first_not_of(kBlank, key_end);
  if (at == std::string_view::npos) return {.cut = true};
  if (text[at] != ':') return {};
  at = text.find_first_not_of(kBlank, at + 1);
  if (at == std::string_view::npos) return {.cut = true};
  if (text[at] != '{') return {};
  const std::string_view rest = text.substr(at, kUsageBytesMax);
  const std::size_t end = end_of_object(rest);
  if (end == std::string_view::npos) return {.object = rest, .cut = true};
  return {.object = rest.substr(0, end)};
}

/// Where the key begins that the text's end cuts, at `from` or behind it; the text's size if none does.
std::size_t cut_key(std::string_view text, std::size_t from, std::string_view key) {
  const std::size_t last = text.size() - std::min(text.size(), key.size() - 1);
  for (std::size_t at = std::max(from, last); at < text.size(); ++at) {
    if (key.starts_with(text.substr(at))) return at;
  }
  return text.size();
}

}  // namespace

void PartialUsage::take(const PartialUsage& newer) noexcept {
  PartialUsage merged = newer;
  merged.add(*this);
  *this = merged;
}

void PartialUsage::add(const PartialUsage& older) noexcept {
  if (!prompt_tokens) prompt_tokens = older.prompt_tokens;
  if (!cached_tokens) cached_tokens = older.cached_tokens;
  if (!completion_tokens) completion_tokens = older.completion_tokens;
  if (!total_tokens) total_tokens = older.total_tokens;
}

std::optional<AnswerUsage> PartialUsage::finish() const noexcept {
  if (!prompt_tokens && !completion_tokens) return std::nullopt;
  const std::uint64_t sum = std::uint64_t{prompt_tokens.value_or(0)} + completion_tokens.value_or(0);
  const auto total =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
  return AnswerUsage{.prompt_tokens = prompt_tokens.value_or(0),
                     .cached_tokens = cached_tokens.value_or(0),
                     .completion_tokens = completion_tokens.value_or(0),
                     .total_tokens = total_tokens.value_or(total)};
}

std::size_t read_usage(std::string_view text, PartialUsage& usage) {
  std::size_t at = 0;
  std::size_t behind = 0;  // the last key: its closing quote begins none
  while ((at = api::find_quoted(text, at, kKeys[0][1], kKeys[1][1])) < text.size()) {
    const auto key = std::find_if(kKeys.begin(), kKeys.end(),
                                  [&](std::string_view known) { return text.substr(at).starts_with(known); });
    if (key == kKeys.end()) {
      ++at;
      continue;
    }
    const Candidate found = object_behind(text, at + key->size());
    if (found.cut && text.size() - at < kUsageBytesMax) return at;
    if (!found.object.empty()) usage.take(counts_in(found.object));
    at += key->size() + found.object.size();
    behind = at;
  }
  std::size_t cut = text.size();
  for (const std::string_view key : kKeys) cut = std::min(cut, cut_key(text, behind, key));
  return cut;
}

std::optional<AnswerUsage> find_usage(std::string_view json) {
  constexpr int kCandidatesMax = 16;
  for (const std::string_view key : kKeys) {
    PartialUsage usage;
    std::size_t at = json.rfind(key);
    for (int tried = 0; at != std::string_view::npos && tried < kCandidatesMax; ++tried) {
      const Candidate found = object_behind(json, at + key.size());
      if (!found.object.empty()) usage.add(counts_in(found.object));
      if (usage.prompt_tokens || at == 0) break;
      at = json.rfind(key, at - 1);
    }
    if (const auto found = usage.finish()) return found;
  }
  return std::nullopt;
}

}  // namespace llmd::openai
