#pragma once

namespace llmd {

/// `llmd chat`: talks to an OpenAI-compatible server in the terminal, streaming. Returns the exit code: 0 at the end of
/// the input; 1 if the server does not answer as it should; 2 for a wrong command line.
[[nodiscard]] int chat_main(int argc, char** argv);

}  // namespace llmd
