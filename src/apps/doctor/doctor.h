#pragma once

namespace llmd {

/// `llmd doctor`: looks at what `llmd up` needs before it is started. Returns the exit code: 0 if nothing stands in the
/// way, 1 if something does, 2 for a wrong command line.
[[nodiscard]] int doctor_main(int argc, char** argv);

}  // namespace llmd
