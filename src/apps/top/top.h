#pragma once

namespace llmd {

/// `llmd top`: endpoints, rates and hit rate of a gateway of this machine, renewed each second. Returns the exit code:
/// 0; 1 if no gateway answers; 2 for a wrong command line.
[[nodiscard]] int top_main(int argc, char** argv);

}  // namespace llmd
