#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace llmd::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class Format : std::uint8_t { kAuto, kText, kJson };  // auto: text on a terminal, JSON otherwise

/// "debug", "info", "warn", "error"; kInfo for any other text: command lines check it first.
[[nodiscard]] Level level_from_name(std::string_view name) noexcept;
/// "auto", "text", "json"; kAuto for any other text.
[[nodiscard]] Format format_from_name(std::string_view name) noexcept;

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kAuto;
  std::string component;  // "gateway", "worker"; shown in each line
};

/// Once, before the first line. Lines go to stderr, one write each; a failing stderr (disk full, closed pipe) loses
/// lines and counts them, and never stops the caller.
void init(const Options& options);
[[nodiscard]] bool enabled(Level level) noexcept;
/// One event. `request_id` may be empty. Never pass prompt text or keys.
void write(Level level, std::string_view request_id, std::string_view message);
/// A line made elsewhere (of a child process, for a person), which ends with a line break, to a descriptor such as
/// stderr. Never blocks; a line that `fd` cannot take now is lost and counted.
void put_line(int fd, std::string_view line) noexcept;
/// Lines lost because stderr (or the descriptor of put_line) could not take them. The next line that goes out is
/// preceded by one that says how many.
[[nodiscard]] std::uint64_t lost_lines() noexcept;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) write(Level::kDebug, {}, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, {}, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarn)) write(Level::kWarn, {}, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError)) write(Level::kError, {}, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace llmd::log
