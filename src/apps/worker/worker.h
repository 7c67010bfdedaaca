#pragma once

namespace llmd {

/// `llmd worker`: one engine behind an OpenAI API. Returns the exit code: 0 after a drain, 1 if it could not start or
/// run, 2 for a wrong command line.
[[nodiscard]] int worker_main(int argc, char** argv);

}  // namespace llmd
