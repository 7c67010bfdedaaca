#include "apps/top/top.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>

#include "apps/top/screen.h"
#include "base/clock.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "net/fetch.h"
#include "runtime/runtime_directory.h"

namespace llmd {
namespace top {
namespace {

constexpr std::string_view kClearScreen = "\x1b[H\x1b[2J";

Result<Sample> look(const net::Address& admin) {
  LLMD_TRY(const net::Fetched summary, net::fetch(admin, "/summary"));
  LLMD_TRY(const net::Fetched endpoints, net::fetch(admin, "/endpoints"));
  return read_sample(summary.body, endpoints.body);
}

Result<net::Address> find_admin(const std::string& given) {
  if (!given.empty()) return net::Address::parse(given);
  const auto paths = find_runtime_files("admin.sock");
  if (paths.empty()) {
    return fail(ErrorCode::kNotFound, "no gateway of this user runs on this machine",
                "start llmd up or llmd gateway, or give --admin unix:PATH");
  }
  return net::Address::parse("unix:" + paths.front());
}

struct Watch {
  bool once = false;
  milliseconds interval{1'000};
};

Result<void> watch(const net::Address& admin, Watch how) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::optional<Sample> before;
  TimePoint before_at{};
  while (true) {
    LLMD_TRY(Sample now, look(admin));
    const TimePoint at = SteadyClock::now();
    const std::string screen = render(now, before ? &*before : nullptr, at - before_at);
    fmt::print("{}{}", terminal && !how.once ? kClearScreen : std::string_view{}, screen);
    std::fflush(stdout);
    if (how.once) return {};
    before = std::move(now);
    before_at = at;
    std::this_thread::sleep_for(how.interval);
  }
}

}  // namespace
}  // namespace top

int top_main(int argc, char** argv) {
  std::string admin_text;
  top::Watch how;
  std::uint32_t interval_ms = 1'000;
  CLI::App app{"Shows endpoints, rates and hit rate of a running gateway.", "llmd top"};
  flags::add_address_flag(app, "--admin", admin_text,
                          "unix:PATH of the control socket (default: this user's newest process)");
  app.add_option("--interval", interval_ms, "Milliseconds between two looks")
      ->check(CLI::Range(100U, 60'000U))
      ->capture_default_str();
  app.add_flag("--once", how.once, "One look, then end");
  if (const auto ending = flags::parse(app, argc, argv)) return flags::end(*ending);
  how.interval = milliseconds{interval_ms};
  const auto admin = top::find_admin(admin_text);
  const Result<void> watched = admin ? top::watch(*admin, how) : std::unexpected(admin.error());
  if (watched) return 0;
  fmt::print(stderr, "llmd top: {}\n", watched.error().to_string());
  return 1;
}

}  // namespace llmd
