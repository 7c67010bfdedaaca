#pragma once

namespace llmd {

/// The command `llmd sidecar`; argv[0] is its name. Returns the exit code.
int sidecar_main(int argc, char** argv);

}  // namespace llmd
