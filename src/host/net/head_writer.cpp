#include "net/head_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

namespace llmd::net {
namespace {

bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

bool is_name(std::string_view name) noexcept {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (!is_name(name) || has_control(value)) return;
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_number_field(std::string& out, std::string_view name, std::uint64_t value) {
  const fmt::format_int digits{value};
  append_field(out, name, {digits.data(), digits.size()});
}

bool is_framing_field(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 4> kOwn{"content-length", "transfer-encoding", "connection", "keep-alive"};
  return std::any_of(kOwn.begin(), kOwn.end(),
                     [name](std::string_view own) { return equals_ignoring_case(own, name); });
}

/// "Date: ...", made once a second and thread.
std::string_view date_field() {
  thread_local std::time_t made_at = 0;
  thread_local std::string field;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != made_at) {
    constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    field = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[parts.tm_wday], parts.tm_mday,
                        kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
    made_at = now.tv_sec;
  }
  return field;
}

}  // namespace

void append_answer_head(std::string& out, const AnswerHead& head, const Headers& headers) {
  if (head.status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
  } else {
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status));
  }
  for (const auto& [name, value] : headers) {
    if (!is_framing_field(name) && !equals_ignoring_case(name, "date")) append_field(out, name, value);
  }
  out += date_field();
  if (head.body == BodyKind::kLength) append_number_field(out, "Content-Length", head.content_length);
  if (head.body == BodyKind::kChunked) out += "Transfer-Encoding: chunked\r\n";
  if (head.close) {
    out += "Connection: close\r\n";
  } else if (head.keep_alive) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

void append_request_head(std::string& out, const RequestLine& line, const Headers* headers) {
  out += line.method;
  out += ' ';
  out += line.target;
  out += " HTTP/1.1\r\n";
  bool has_host = false;
  if (headers != nullptr) {
    for (const auto& [name, value] : *headers) {
      if (is_framing_field(name)) continue;
      const bool is_host = equals_ignoring_case(name, "host");
      if (is_host && std::exchange(has_host, true)) continue;  // two would be refused
      append_field(out, name, value);
    }
  }
  if (!has_host) append_field(out, "Host", line.host);
  const bool states_length = line.content_length > 0 || line.method == "POST" || line.method == "PUT";
  if (states_length) append_number_field(out, "Content-Length", line.content_length);
  out += "\r\n";
}

bool is_valid_target(std::string_view target) noexcept {
  return !target.empty() && std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace llmd::net
