#pragma once

#include <sys/types.h>

#include "base/error.h"

namespace llmd {

/// The guard process: it waits for the end of this process, however that comes, and then kills the process groups that
/// are registered with it. It is forked at the first use, holds no file of the parent but one end of a pipe, and is
/// forked again if somebody killed it. Thread-safe.
namespace process_guard {

/// The pipe's writing end, for a child to register its own group between fork and exec. Error kIo.
[[nodiscard]] Result<int> ready();
/// Async-signal-safe. Called by a new child with the result of ready().
void register_from_child(int guard_fd, pid_t group) noexcept;
/// Remembers `group` on the parent's side, for a guard that has to be forked again.
void add(pid_t group);
/// The group is gone, and its number may be used again by others.
void remove(pid_t group);

}  // namespace process_guard
}  // namespace llmd
