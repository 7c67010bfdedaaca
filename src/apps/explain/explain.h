#pragma once

namespace llmd {

/// `llmd explain REQUEST_ID`: why a request went where it went. Returns the exit code: 0; 1 if no process remembers the
/// request or none answers; 2 for a wrong command line.
[[nodiscard]] int explain_main(int argc, char** argv);

}  // namespace llmd
