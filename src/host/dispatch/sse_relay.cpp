#include "dispatch/sse_relay.h"

#include <algorithm>
#include <utility>

namespace llmd::dispatch {
namespace {

/// The position behind the last blank line, 0 if there is none. Lines end with LF or CR LF.
std::size_t behind_last_event(std::string_view text) {
  for (std::size_t at = text.rfind('\n'); at != std::string_view::npos && at > 0; at = text.rfind('\n', at - 1)) {
    if (text[at - 1] == '\n' || (at > 1 && text[at - 1] == '\r' && text[at - 2] == '\n')) return at + 1;
  }
  return 0;
}

/// Whether the JSON of an event has an empty list of choices. Within a string the quotes of the name are escaped.
bool has_no_choices(std::string_view json) {
  constexpr std::string_view kName = R"("choices")";
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t name = json.find(kName);
  if (name == std::string_view::npos) return false;
  const std::size_t open = json.find_first_not_of(" \t\r\n:", name + kName.size());
  if (open == std::string_view::npos || json[open] != '[') return false;
  const std::size_t next = json.find_first_not_of(kSpace, open + 1);
  return next != std::string_view::npos && json[next] == ']';
}

/// `,"usage":null`, as events have it that are not the one with the usage; empty if this one has not.
std::string_view null_usage_in(std::string_view json) {
  constexpr std::string_view kName = R"("usage")";
  const std::size_t name = json.rfind(kName);
  if (name == std::string_view::npos || name == 0) return {};
  const std::size_t comma = json.find_last_not_of(" \t", name - 1);
  const std::size_t value = json.find_first_not_of(" \t:", name + kName.size());
  if (comma == std::string_view::npos || value == std::string_view::npos || json[comma] != ',') return {};
  return json.substr(value).starts_with("null") ? json.substr(comma, value + 4 - comma) : std::string_view{};
}

}  // namespace

std::string_view SseRelay::feed(std::string_view piece) {
  if (held_.empty()) {
    const std::size_t end = behind_last_event(piece);
    held_ = piece.substr(end);
    return inspect(piece.substr(0, end));
  }
  // A blank line may straddle the two: look back over the last bytes held.
  const std::size_t seam = held_.size() - std::min<std::size_t>(held_.size(), 3);
  held_ += piece;
  std::size_t end = behind_last_event(std::string_view{held_}.substr(seam));
  if (end > 0) end += seam;
  if (end == 0 && held_.size() > kHeldBytesMax) end = held_.size();
  ready_ = std::exchange(held_, held_.substr(end));
  ready_.resize(end);
  return inspect(ready_);
}

/// What of the events is handed on: all of them, or a copy without what was not asked for.
std::string_view SseRelay::inspect(std::string_view events) {
  bool hides = false;     // the event under way
  std::size_t begin = 0;  // of the event under way
  std::size_t copied = 0;
  kept_.clear();
  const auto leave_out = [&](std::size_t from, std::size_t to) {
    kept_ += events.substr(copied, from - copied);
    copied = to;
  };
  for (std::size_t at = 0; at < events.size();) {
    const std::size_t line_end = events.find('\n', at);
    std::string_view line = events.substr(at, line_end - at);
    at = line_end == std::string_view::npos ? events.size() : line_end + 1;
    if (line.starts_with("data:")) {
      line.remove_prefix(5);
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      hides = look_at(line) || hides;
      const std::string_view null_usage = hides_usage_ && !hides ? null_usage_in(line) : std::string_view{};
      if (!null_usage.empty()) {
        const auto from = static_cast<std::size_t>(null_usage.data() - events.data());
        leave_out(from, from + null_usage.size());
      }
    } else if (line.starts_with("event:")) {
      look_at_name(line.substr(6));
    } else if (line.empty() || line == "\r") {
      if (hides && begin >= copied) leave_out(begin, at);
      hides = false;
      begin = at;
    }
  }
  if (copied == 0) return events;
  kept_ += events.substr(copied);
  return kept_;
}

/// Notes whether the event ends its stream.
void SseRelay::look_at_name(std::string_view event) {
  while (event.starts_with(' ')) event.remove_prefix(1);
  if (event.ends_with('\r')) event.remove_suffix(1);
  const bool failed = event == "error" || event == "response.failed";
  complete_ =
      complete_ || failed || event == "message_stop" || event == "response.completed" || event == "response.incomplete";
  failed_ = failed_ || failed;
}

/// Notes what one event's data says. True if the event is to be left out.
bool SseRelay::look_at(std::string_view data) {
  if (data.starts_with("[DONE]")) {
    complete_ = true;
    return false;
  }
  if (data.starts_with(R"({"error")")) complete_ = failed_ = true;
  const auto usage = openai::find_usage(data);
  if (usage) {
    // Anthropic's last event may tell of the answer alone; the prompt's counts came with the first.
    const openai::AnswerUsage before = usage_.value_or(openai::AnswerUsage{});
    usage_ = usage;
    if (usage->prompt_tokens == 0) {
      usage_->prompt_tokens = before.prompt_tokens;
      usage_->cached_tokens = std::max(usage->cached_tokens, before.cached_tokens);
    }
  }
  if (hides_usage_ && usage && has_no_choices(data)) return true;
  ++events_;
  return false;
}

}  // namespace llmd::dispatch
