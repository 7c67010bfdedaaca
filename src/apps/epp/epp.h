#pragma once

namespace llmd {

/// `llmd epp`: the scheduler as an endpoint picker for Envoy (ext_proc), in the place of llm-d's. argv[0] is the
/// command's name; the exit code.
[[nodiscard]] int epp_main(int argc, char** argv);

}  // namespace llmd
