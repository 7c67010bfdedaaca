#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd {

/// Where this user's processes keep their sockets: $XDG_RUNTIME_DIR/llmd-<uid>, or /tmp/llmd-<uid>. Need not exist.
[[nodiscard]] std::string runtime_base_path();

/// The paths <base>/<process>/<name> that exist, newest first. For tools that look for a process to talk to.
[[nodiscard]] std::vector<std::string> find_runtime_files(std::string_view name);

/// A folder of mode 0700 for one process's sockets, <base>/<name>-<pid>. It is removed at destruction, and also if the
/// process is killed: a small child of its own waits for the parent's end and removes it then. Folders of processes
/// that are gone without that (the machine stopped) are removed by the next one.
class RuntimeDirectory {
 public:
  /// Pre: the process still has one thread. Errors: kIo (cannot be made, or the base belongs to someone else),
  /// kAddressInvalid (its path is too long for a socket in it).
  [[nodiscard]] static Result<std::unique_ptr<RuntimeDirectory>> create(std::string_view name);
  ~RuntimeDirectory();
  RuntimeDirectory(const RuntimeDirectory&) = delete;
  RuntimeDirectory& operator=(const RuntimeDirectory&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The path of a file in it.
  [[nodiscard]] std::string file(std::string_view name) const;

 private:
  explicit RuntimeDirectory(std::string path) : path_{std::move(path)} {}
  Result<void> start_lifeline();

  std::string path_;
  int lifeline_fd_ = -1;  // closed by the kernel when this process ends
  pid_t lifeline_ = -1;
};

}  // namespace llmd
