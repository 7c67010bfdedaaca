#include "exporters/page_merger.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace llmd {
namespace {

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Takes a metric name (or a label name, without ':') off the front; empty if there is none.
std::string_view take_name(std::string_view& text, bool colons) noexcept {
  std::size_t length = 0;
  while (length < text.size() &&
         (is_letter(text[length]) || (colons && text[length] == ':') || (length > 0 && is_digit(text[length])))) {
    ++length;
  }
  const std::string_view name = text.substr(0, length);
  text.remove_prefix(length);
  return name;
}

void skip_blanks(std::string_view& text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

bool take(std::string_view& text, char wanted) noexcept {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(1);
  return true;
}

/// Takes a quoted label value off the front, without quotes and with its escapes.
std::optional<std::string_view> take_quoted(std::string_view& text) noexcept {
  if (!take(text, '"')) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;  // the next byte is part of an escape
    } else if (text[i] == '"') {
      const std::string_view value = text.substr(0, i);
      text.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

/// Takes "{name="value",...}" off the front; an empty list if there is none.
std::optional<Labels> take_labels(std::string_view& text) {
  Labels labels;
  if (!take(text, '{')) return labels;
  while (true) {
    skip_blanks(text);
    if (take(text, '}')) return labels;
    const std::string_view name = take_name(text, false);
    skip_blanks(text);
    if (name.empty() || !take(text, '=')) return std::nullopt;
    skip_blanks(text);
    const auto value = take_quoted(text);
    if (!value) return std::nullopt;
    labels.emplace_back(name, *value);
    skip_blanks(text);
    if (!take(text, ',') && !text.starts_with('}')) return std::nullopt;
  }
}

std::string_view take_word(std::string_view& text) noexcept {
  skip_blanks(text);
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

bool is_value(std::string_view word) noexcept {
  if (word == "NaN" || word == "+Inf" || word == "-Inf" || word == "Inf") return true;
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), value);
  return status == std::errc{} && end == word.data() + word.size();
}

bool is_timestamp(std::string_view word) noexcept {
  long long value = 0;
  const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), value);
  return status == std::errc{} && end == word.data() + word.size();
}

bool is_type(std::string_view type) noexcept {
  constexpr std::array<std::string_view, 5> kTypes{"counter", "gauge", "histogram", "summary", "untyped"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

constexpr std::array<std::string_view, 3> kPartSuffixes{"_bucket", "_sum", "_count"};

/// Whether a family of this type has series named after it with a suffix.
bool is_compound(std::string_view type) noexcept { return type == "histogram" || type == "summary"; }

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || c == '"') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace

struct PageMerger::PageState {
  std::string_view label;
  std::string value;                                      // escaped
  std::map<std::string, std::string, std::less<>> types;  // as this page states them; at most kFamiliesMax
};

void PageMerger::add_page(std::string_view page, std::string_view label, std::string_view value) {
  PageState state{.label = label, .value = escaped(value), .types = {}};
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size());
    std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(end + 1, page.size()));
    while (line.ends_with('\r')) line.remove_suffix(1);
    bytes_ += line.size() + 1;
    if (bytes_ > kPageBytesMax || line.size() > kLineBytesMax) {
      ++dropped_lines_;
    } else {
      add_line(line, state);
    }
  }
}

void PageMerger::add_line(std::string_view line, PageState& state) {
  skip_blanks(line);
  if (line.empty()) return;
  if (line.starts_with('#')) {
    add_comment(line, state);
  } else if (!add_sample(line, state)) {
    ++dropped_lines_;
  }
}

void PageMerger::add_comment(std::string_view line, PageState& state) {
  line.remove_prefix(1);
  const std::string_view keyword = take_word(line);
  if (keyword != "HELP" && keyword != "TYPE") return;
  skip_blanks(line);
  const std::string_view name = take_name(line, true);
  skip_blanks(line);
  Family* const of = name.empty() ? nullptr : family(name);
  if (of == nullptr || (keyword == "TYPE" && !is_type(line))) {
    ++dropped_lines_;
    return;
  }
  if (keyword == "TYPE" && is_compound(line) && parts_have_samples(name)) {
    ++dropped_lines_;  // and with it its samples, whose type then is not the family's
    state.types.insert_or_assign(std::string{name}, line);
    return;
  }
  std::string& known = keyword == "HELP" ? of->help : of->type;
  // Samples that came before a TYPE were taken as untyped; stating it now would make the page contradict itself.
  if (known.empty() && (keyword == "HELP" || of->samples.empty())) known = line;
  if (keyword == "TYPE" && state.types.size() < kFamiliesMax) state.types.insert_or_assign(std::string{name}, line);
}

PageMerger::Family* PageMerger::family(std::string_view name) {
  const auto found = index_.find(name);
  if (found != index_.end()) return &families_[found->second].second;
  if (families_.size() >= kFamiliesMax) return nullptr;
  index_.emplace(name, families_.size());
  return &families_.emplace_back(name, Family{}).second;
}

bool PageMerger::parts_have_samples(std::string_view name) const {
  return std::any_of(kPartSuffixes.begin(), kPartSuffixes.end(), [&](std::string_view suffix) {
    const auto part = index_.find(std::string{name}.append(suffix));
    return part != index_.end() && !families_[part->second].second.samples.empty();
  });
}

bool PageMerger::add_sample(std::string_view line, PageState& state) {
  const std::string_view name = take_name(line, true);
  const auto labels = take_labels(line);
  if (name.empty() || !labels) return false;
  const std::string_view value = take_word(line);
  const std::string_view timestamp = take_word(line);
  if (!is_value(value) || (!timestamp.empty() && !is_timestamp(timestamp)) || !take_word(line).empty()) return false;

  // A histogram's or summary's series are named after it with a suffix.
  std::string_view family_name = name;
  for (const std::string_view suffix : kPartSuffixes) {
    if (!name.ends_with(suffix)) continue;
    const std::string_view base = name.substr(0, name.size() - suffix.size());
    const auto type = state.types.find(base);
    const auto other = index_.find(base);
    if (type != state.types.end() && is_compound(type->second)) {
      family_name = base;
    } else if (other != index_.end() && is_compound(families_[other->second].second.type)) {
      return false;  // a family of its own here, a part of a histogram on another page
    }
  }
  const auto stated = state.types.find(family_name);
  const std::string_view type = stated == state.types.end() ? std::string_view{} : std::string_view{stated->second};
  Family* const into = family(family_name);
  if (into == nullptr || into->type != type) return false;

  std::string series{name};
  char separator = '{';
  const auto append_label = [&](std::string_view prefix, std::string_view label, std::string_view text) {
    (((((series += std::exchange(separator, ',')) += prefix) += label) += "=\"") += text) += '"';
  };
  if (!state.label.empty()) append_label({}, state.label, state.value);
  for (const auto& [label, text] : *labels) append_label(label == state.label ? "exported_" : "", label, text);
  if (separator == ',') series += '}';
  if (!seen_.insert(series).second) return false;
  into->samples += series;
  into->samples += ' ';
  into->samples += value;
  if (!timestamp.empty()) (into->samples += ' ') += timestamp;
  into->samples += '\n';
  return true;
}

std::string PageMerger::render() const {
  std::string out;
  for (const auto& [name, family] : families_) {
    if (family.samples.empty() && family.type.empty()) continue;
    if (!family.help.empty()) ((((out += "# HELP ") += name) += ' ') += family.help) += '\n';
    if (!family.type.empty()) ((((out += "# TYPE ") += name) += ' ') += family.type) += '\n';
    out += family.samples;
  }
  return out;
}

}  // namespace llmd
