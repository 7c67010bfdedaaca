#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/loop.h"

namespace llmd {

/// How a child ended: by itself with `code`, or by `signal` (then not 0).
struct ChildExit {
  int code = 0;
  int signal = 0;
  [[nodiscard]] bool ok() const noexcept { return code == 0 && signal == 0; }
  [[nodiscard]] std::string to_string() const;  // "exit code 1", "signal 9 (Killed)"
};

enum class ChildStream : std::uint8_t { kStdout, kStderr };

struct ChildOptions {
  std::vector<std::string> argv;         // argv[0] is the path of the program; no search in PATH
  std::vector<std::string> environment;  // "NAME=value"; added to the parent's, replacing equal names
  /// One line without its end, valid during the call. Lines beyond kLineBytesMax come in pieces.
  std::function<void(ChildStream stream, std::string_view line)> on_line{};
  /// Once, after the last line.
  std::function<void(const ChildExit& exit)> on_exit{};
};

/// A child process in a process group of its own, stdin empty, its output read line by line. Belongs to one loop, on
/// which the callbacks run; they may destroy the object. Nothing of the group outlives the child, this object or the
/// parent process, however that ends: a guard process (one a parent, forked at the first spawn) kills the registered
/// groups when the parent is gone, and the child itself asks the kernel for SIGKILL when the thread that spawned it
/// ends.
class ChildProcess {
 public:
  static constexpr std::size_t kLineBytesMax = 16 * 1024;

  /// Errors: kFileNotFound (no such program, or not executable), kIo. Waits until the program is loaded (about 1 ms).
  [[nodiscard]] static Result<std::unique_ptr<ChildProcess>> spawn(Loop& loop, ChildOptions options);
  /// Kills what still runs, without callbacks.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const noexcept;
  [[nodiscard]] bool running() const noexcept;
  /// SIGTERM to the child, and SIGKILL to its group if it has not ended within `grace`.
  void terminate(Duration grace);
  /// SIGKILL to its group.
  void kill();

 private:
  struct State;
  explicit ChildProcess(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace llmd
