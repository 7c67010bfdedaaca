#include "telemetry/log.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <mutex>

namespace llmd::log {
namespace {

/// PIPE_BUF on Linux: a pipe that polls writable takes this much without blocking, and in one piece.
constexpr std::size_t kLineBytesMax = 4096;
constexpr std::string_view kCut = "...[cut]";
constexpr int kOutput = STDERR_FILENO;

struct State {
  std::atomic<Level> level{Level::kInfo};
  std::mutex mutex;  // guards the rest, and keeps poll and write of one line together
  bool json = true;
  std::string component;
  std::atomic<std::uint64_t> lost{0};
  std::uint64_t lost_told = 0;  // of these, said in the log
  bool in_mid_line = false;     // the last line was cut: the next one needs a line break before it
};

State& state() {
  static State* const instance = new State;  // never destroyed: other threads may log during exit
  return *instance;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarn: return "warn";
    case Level::kError: return "error";
  }
  return "error";
}

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto since_epoch = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, since_epoch.count() % 1000);
}

/// Appends `text` so that it stays one line, and valid inside a JSON string if `json`. Stops at `limit` bytes of
/// output.
void append_escaped(std::string& out, std::string_view text, bool json, std::size_t limit) {
  for (const char c : text) {
    if (out.size() + 6 > limit) {
      out += kCut;
      return;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (json && (c == '"' || c == '\\')) {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += json ? "\\n" : " | ";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += json ? fmt::format("\\u{:04x}", byte) : fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
}

std::string json_line(Level level, std::string_view component, std::string_view request_id, std::string_view message) {
  constexpr std::size_t kTail = 2;  // "} and the newline is added by the caller
  std::string line = fmt::format(R"({{"time":"{}","level":"{}")", timestamp(), name_of(level));
  const auto field = [&line](std::string_view name, std::string_view value, std::size_t limit) {
    line += fmt::format(R"(,"{}":")", name);
    append_escaped(line, value, true, limit);
    line += '"';
  };
  if (!component.empty()) field("component", component, 256);
  if (!request_id.empty()) field("request_id", request_id, 768);
  field("message", message, kLineBytesMax - kCut.size() - kTail - 2);
  line += "}\n";
  return line;
}

std::string text_line(Level level, std::string_view component, std::string_view request_id, std::string_view message) {
  std::string line = fmt::format("{} {:<5} ", timestamp(), name_of(level));
  if (!component.empty()) {
    append_escaped(line, component, false, 256);
    line += ": ";
  }
  append_escaped(line, message, false, kLineBytesMax - kCut.size() - 512);
  if (!request_id.empty()) {
    line += " [";
    append_escaped(line, request_id, false, kLineBytesMax - kCut.size() - 4);
    line += ']';
  }
  line += '\n';
  return line;
}

/// One attempt that cannot block. O_NONBLOCK is not set: the flag belongs to the open file, which the shell and other
/// processes share.
ssize_t put_piece(int fd, std::string_view piece) noexcept {
  pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return 0;
  ssize_t written = ::send(fd, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (written < 0 && errno == ENOTSOCK) written = ::write(fd, piece.data(), piece.size());
  return written;
}

/// The bytes that went out.
std::size_t put(int fd, std::string_view line) noexcept {
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = put_piece(fd, line.substr(done, kLineBytesMax));
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  return done;
}

std::string make_line(const State& current, Level level, std::string_view request_id, std::string_view message) {
  return current.json ? json_line(level, current.component, request_id, message)
                      : text_line(level, current.component, request_id, message);
}

/// What a log that was full for a while needs before its next line. Pre: the mutex is held.
std::string notice_of_lost_lines(const State& current, std::uint64_t lost) {
  std::string notice = current.in_mid_line ? "\n" : "";
  if (lost == current.lost_told) return notice;
  return notice + make_line(current, Level::kWarn, {},
                            fmt::format("{} log lines were lost: the output could not take them (disk full, or nobody "
                                        "reads it)",
                                        lost - current.lost_told));
}

/// Pre: the mutex is held.
void put_or_count(State& current, int fd, std::string_view line) {
  const std::uint64_t lost = current.lost.load(std::memory_order_relaxed);
  const std::string notice = fd == kOutput ? notice_of_lost_lines(current, lost) : std::string{};
  std::size_t written = 0;
  if (notice.empty()) {
    written = put(fd, line);
  } else if (put(fd, notice) == notice.size()) {
    current.lost_told = lost;
    current.in_mid_line = false;
    written = put(fd, line);
  }
  if (written == line.size()) return;
  if (fd == kOutput && written > 0) current.in_mid_line = true;
  current.lost.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Level level_from_name(std::string_view name) noexcept {
  for (const Level level : {Level::kDebug, Level::kWarn, Level::kError}) {
    if (name == name_of(level)) return level;
  }
  return Level::kInfo;
}

Format format_from_name(std::string_view name) noexcept {
  if (name == "text") return Format::kText;
  return name == "json" ? Format::kJson : Format::kAuto;
}

void init(const Options& options) {
  State& current = state();
  const std::scoped_lock lock{current.mutex};
  current.level.store(options.level, std::memory_order_relaxed);
  current.json = options.format == Format::kJson || (options.format == Format::kAuto && ::isatty(kOutput) == 0);
  current.component = options.component;
}

bool enabled(Level level) noexcept { return level >= state().level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view request_id, std::string_view message) {
  State& current = state();
  if (!enabled(level)) return;
  try {
    const std::scoped_lock lock{current.mutex};
    put_or_count(current, kOutput, make_line(current, level, request_id, message));
  } catch (...) {  // out of memory: a log line is not worth the process
    current.lost.fetch_add(1, std::memory_order_relaxed);
  }
}

void put_line(int fd, std::string_view line) noexcept {
  State& current = state();
  try {
    const std::scoped_lock lock{current.mutex};
    put_or_count(current, fd, line);
  } catch (...) {  // as in write()
    current.lost.fetch_add(1, std::memory_order_relaxed);
  }
}

std::uint64_t lost_lines() noexcept { return state().lost.load(std::memory_order_relaxed); }

}  // namespace llmd::log
