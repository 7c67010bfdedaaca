#include "pool/exposition_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

namespace llmd::pool {
namespace {

constexpr std::size_t kBeginBytes = 8;
constexpr std::uint64_t kMixer = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio

std::uint64_t word_at(const char* text) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, text, sizeof word);
  return word;
}

/// Which of the 256 bits of a filter stands for a beginning.
std::size_t begin_bit(std::uint64_t word) noexcept { return (word * kMixer) >> 56U; }

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view skip_blanks(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

/// Where the first character is for which `ends` holds; the size if there is none. The library's find_first_of calls a
/// function for each character.
template <class Ends>
std::size_t find_end(std::string_view text, std::size_t begin, Ends ends) noexcept {
  while (begin < text.size() && !ends(text[begin])) ++begin;
  return begin;
}

/// Takes the next blank-separated word off `text`.
std::string_view take_word(std::string_view& text) noexcept {
  text = skip_blanks(text);
  const auto word = text.substr(0, find_end(text, 0, [](char c) { return is_blank(c) || c == '\r'; }));
  text.remove_prefix(word.size());
  return word;
}

/// The position behind the quote that ends a value which begins behind text[begin - 1]; npos if it does not end.
std::size_t value_end(std::string_view text, std::size_t begin) noexcept {
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

/// The position behind the '}' that ends a label set, npos if it does not end. Quotes and escapes count.
std::size_t labels_end(std::string_view text) noexcept {
  const auto ends = [](char c) { return c == '"' || c == '}'; };
  for (std::size_t i = find_end(text, 0, ends); i < text.size(); i = find_end(text, i, ends)) {
    if (text[i] == '}') return i + 1;
    i = value_end(text, i + 1);
  }
  return std::string_view::npos;
}

}  // namespace

std::size_t SeriesNames::slot_of(std::string_view name) const noexcept {
  std::uint64_t word = 0;
  const std::size_t tail = std::min(name.size(), sizeof word);
  std::memcpy(&word, name.data() + name.size() - tail, tail);
  word = (word ^ (name.size() << 56U)) * kMixer;
  return (word >> 32U) & (slots_.size() - 1);
}

void SeriesNames::place(std::size_t number) {
  std::size_t slot = slot_of(names_[number]);
  while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = static_cast<std::uint16_t>(number + 1);
}

std::size_t SeriesNames::add(std::string_view name) {
  if (const std::size_t known = find(name); known != kNone) return known;
  names_.emplace_back(name);
  if (name.size() < kBeginBytes) {
    all_begin_ = true;
  } else {
    const std::size_t bit = begin_bit(word_at(name.data()));
    begins_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  if (slots_.size() < 2 * names_.size()) {
    slots_.assign(std::bit_ceil(std::max<std::size_t>(16, 4 * names_.size())), 0);
    for (std::size_t i = 0; i + 1 < names_.size(); ++i) place(i);
  }
  place(names_.size() - 1);
  return names_.size() - 1;
}

std::size_t SeriesNames::find(std::string_view name) const noexcept {
  if (slots_.empty()) return kNone;
  for (std::size_t slot = slot_of(name); slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const std::size_t number = slots_[slot] - 1U;
    if (names_[number] == name) return number;
  }
  return kNone;
}

bool SeriesNames::may_begin(std::string_view line) const noexcept {
  if (all_begin_) return true;
  if (line.size() < kBeginBytes) return false;
  const std::size_t bit = begin_bit(word_at(line.data()));
  return (begins_[bit / 64] >> (bit % 64) & 1U) != 0;
}

std::optional<LabelReader::Label> LabelReader::next() noexcept {
  const std::size_t begin = rest_.find_first_not_of("{, \t");
  if (begin == std::string_view::npos) return std::nullopt;
  rest_.remove_prefix(begin);
  const std::size_t equals = rest_.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  Label label{.name = rest_.substr(0, rest_.find_first_of("= \t")), .value = {}};
  const std::size_t quote = rest_.find_first_not_of(" \t", equals + 1);
  if (quote == std::string_view::npos || rest_[quote] != '"') return std::nullopt;
  const std::size_t end = value_end(rest_, quote + 1);
  if (end == std::string_view::npos) return std::nullopt;
  label.value = rest_.substr(quote + 1, end - quote - 2);
  rest_.remove_prefix(end);
  return label;
}

std::optional<std::string_view> LabelReader::find(std::string_view labels, std::string_view name) noexcept {
  LabelReader reader{labels};
  while (const auto label = reader.next()) {
    if (label->name == name) return label->value;
  }
  return std::nullopt;
}

bool LabelReader::same(std::string_view value, std::string_view text) noexcept {
  std::size_t at = 0;
  for (std::size_t i = 0; i < value.size(); ++i, ++at) {
    char c = value[i];
    if (c == '\\' && i + 1 < value.size()) {
      ++i;
      c = value[i] == 'n' ? '\n' : value[i];
    }
    if (at >= text.size() || text[at] != c) return false;
  }
  return at == text.size();
}

std::optional<double> read_number(std::string_view text) noexcept {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<void> ExpositionReader::feed(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes_ > kPageBytesMax) {
    return fail(ErrorCode::kBodyTooLarge, fmt::format("/metrics page is longer than {} bytes", kPageBytesMax));
  }
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (skipping_ || partial_.size() + piece.size() > kLineBytesMax) {
      skipping_ = end == std::string_view::npos;
      partial_.clear();
    } else if (end == std::string_view::npos) {
      partial_ += piece;
    } else if (partial_.empty()) {
      line(piece);
    } else {
      partial_ += piece;
      line(partial_);
      partial_.clear();
    }
  }
  return {};
}

void ExpositionReader::end_page() {
  if (!skipping_ && !partial_.empty()) line(partial_);
  partial_.clear();
  bytes_ = 0;
  skipping_ = false;
}

void ExpositionReader::line(std::string_view text) {
  if (!text.empty() && is_blank(text.front())) text = skip_blanks(text);
  if (!wanted_->may_begin(text) || text.empty() || text.front() == '#') return;
  const std::size_t name_end = find_end(text, 0, [](char c) { return c == '{' || is_blank(c); });
  if (name_end == text.size()) return;
  Sample sample{.name = wanted_->find(text.substr(0, name_end))};
  if (sample.name == SeriesNames::kNone) return;
  text = skip_blanks(text.substr(name_end));
  if (text.starts_with('{')) {
    const std::size_t end = labels_end(text);
    if (end == std::string_view::npos) return;
    sample.labels = text.substr(0, end);
    text.remove_prefix(end);
  }
  const auto value = read_number(take_word(text));
  if (!value) return;
  sample.value = *value;
  // Ages in ms since 1970; what is no whole number in range is as good as none.
  const auto stamp = read_number(take_word(text));
  if (stamp && *stamp >= 0 && *stamp < 1e18) sample.timestamp = static_cast<std::int64_t>(*stamp);
  on_sample(sample);
}

}  // namespace llmd::pool
