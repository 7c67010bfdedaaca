#include "apps/sidecar/sidecar.h"

#include <csignal>
#include <cstdlib>
#include <memory>
#include <utility>

#include "apps/sidecar/options.h"
#include "apps/sidecar/service.h"
#include "runtime/descriptor_limit.h"
#include "runtime/signals.h"
#include "runtime/stall_detector.h"
#include "telemetry/log.h"

namespace llmd {
namespace sidecar {
namespace {

constexpr int kInterruptedExit = 130;

Task<void> drain_and_stop(Service& service, Loop& home) {
  co_await service.drain();
  co_await sleep_for(milliseconds{20});  // lets requests that were cut unwind
  home.stop();
}

Result<void> run(Options options) {
  Loop home{"sidecar-home"};
  Service* running = nullptr;
  bool asked = false;
  // Drains on the first signal, ends on the second.
  const SignalWatch signals{home, {SIGINT, SIGTERM}, [&](int) {
                              if (std::exchange(asked, true)) std::_Exit(kInterruptedExit);
                              home.spawn(drain_and_stop(*running, home));
                            }};
  const unsigned ranks = options.data_parallel_size;
  LLMD_TRY(const std::unique_ptr<Service> service, Service::start(home, std::move(options)));
  running = service.get();
  const StallDetector stalls{service->metrics(), {}};
  log::info("listening on {} for {} rank(s)", service->address().to_string(), ranks);
  home.run();
  return {};
}

}  // namespace
}  // namespace sidecar

int sidecar_main(int argc, char** argv) {
  sidecar::CommandLine line = sidecar::parse_command_line(argc, argv);
  if (!line.options) return flags::end(line.ending);
  ignore_sigpipe();
  raise_descriptor_limit();
  log::init({.level = line.options->log.level, .format = line.options->log.format, .component = "sidecar"});
  if (const Result<void> ran = sidecar::run(*std::move(line.options)); !ran) {
    log::error("{}", ran.error().to_string());
    return 1;
  }
  return 0;
}

}  // namespace llmd
