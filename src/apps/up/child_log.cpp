#include "apps/up/child_log.h"

#include <fmt/format.h>
#include <unistd.h>

#include "telemetry/log.h"

namespace llmd::up {

std::string with_process(std::string_view process, std::string_view line) {
  if (line.starts_with("{\"") && line.ends_with('}')) {
    return fmt::format(R"({{"process":"{}",{})", process, line.substr(1));
  }
  return fmt::format("[{}] {}", process, line);
}

void put_on_stderr(std::string line) {
  line += '\n';
  log::put_line(STDERR_FILENO, line);
}

}  // namespace llmd::up
