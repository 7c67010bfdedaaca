#pragma once

namespace llmd {

/// `llmd up`: everything for one machine, gateway in process and workers as child processes. Returns the exit code: 0
/// after a clean stop, 1 if it could not start or run, 2 for a wrong command line.
[[nodiscard]] int up_main(int argc, char** argv);

}  // namespace llmd
