#pragma once

namespace llmd {

/// `llmd gateway`: the OpenAI-compatible front door with the scheduler inside. Returns the exit code: 0 after a drain,
/// 1 if it could not start or run, 2 for a wrong command line.
[[nodiscard]] int gateway_main(int argc, char** argv);

}  // namespace llmd
