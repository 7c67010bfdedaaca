#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace CLI {
class App;
}

namespace llmd::flags {

inline constexpr int kUsageExit = 2;

/// Why a command ends before it begins: help on stdout with exit code 0, or one line on stderr with kUsageExit.
struct Ending {
  int exit_code = 0;
  std::string text;
  friend bool operator==(const Ending&, const Ending&) = default;
};

/// What a command line came to: options to run with, or an ending.
template <class Options>
struct CommandLine {
  std::optional<Options> options;
  Ending ending;  // if there are no options
};

/// Parses; argv[0] is not read. Nothing: go on. The line of an error names the flag, and where help is to be had.
[[nodiscard]] std::optional<Ending> parse(CLI::App& app, int argc, const char* const* argv);
/// The ending of a command whose flags are well formed each, but cannot be used so.
[[nodiscard]] Ending refusal(const CLI::App& app, std::string_view problem);
[[nodiscard]] Ending refusal(const CLI::App& app, const Error& error);
/// Prints it where it belongs, and returns the exit code.
[[nodiscard]] int end(const Ending& ending);

}  // namespace llmd::flags
