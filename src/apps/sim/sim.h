#pragma once

namespace llmd {

/// `llmd sim`: the digital twin. argv[0] is the command's name.
int sim_main(int argc, char** argv);

}  // namespace llmd
