#include "runtime/process_guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <vector>

namespace llmd::process_guard {
namespace {

constexpr std::size_t kGroupsMax = 1'024;

/// What goes through the pipe; smaller than PIPE_BUF, so writes of several processes do not mix.
struct Record {
  std::int32_t add = 0;  // 1 or 0
  std::int32_t group = 0;
};

bool send(int fd, Record record) noexcept {
  ssize_t written = 0;
  do {
    written = ::write(fd, &record, sizeof record);
  } while (written < 0 && errno == EINTR);
  return written == static_cast<ssize_t>(sizeof record);
}

/// The whole life of the guard. Only async-signal-safe calls: it is a fork of a process with threads.
[[noreturn]] void guard_main(int pipe_fd) noexcept {
  ::setsid();  // Ctrl-C in the terminal is not for it
  ::prctl(PR_SET_NAME, "llmd-guard");
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) ::signal(ignored, SIG_IGN);
  ::dup2(pipe_fd, 3);
  ::close_range(4, ~0U, 0);  // above all, listening sockets
  const int null_fd = ::open("/dev/null", O_RDWR);
  for (const int standard : {0, 1, 2}) ::dup2(null_fd, standard);
  ::close(null_fd);
  static std::array<pid_t, kGroupsMax> groups{};
  Record record;
  while (true) {
    const ssize_t bytes = ::read(3, &record, sizeof record);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes != static_cast<ssize_t>(sizeof record)) break;
    const pid_t from = record.add == 1 ? 0 : record.group;
    const pid_t to = record.add == 1 ? record.group : 0;
    if (const auto slot = std::find(groups.begin(), groups.end(), from); slot != groups.end()) *slot = to;
  }
  for (const pid_t group : groups) {
    if (group > 1) ::kill(-group, SIGKILL);
  }
  ::_exit(0);
}

class Guard {
 public:
  Result<int> ready() {
    const std::scoped_lock lock{mutex_};
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0) return pipe_;
    return fork_guard();
  }
  void add(pid_t group) {
    const std::scoped_lock lock{mutex_};
    groups_.push_back(group);
  }
  void remove(pid_t group) {
    const std::scoped_lock lock{mutex_};
    std::erase(groups_, group);
    if (pipe_ >= 0) send(pipe_, {.add = 0, .group = group});
  }

 private:
  Result<int> fork_guard() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return fail(ErrorCode::kIo, fmt::format("no pipe for the guard process: {}", std::strerror(errno)));
    }
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[1]);
      guard_main(ends[0]);
    }
    const int fork_errno = errno;
    ::close(ends[0]);
    if (child < 0) {
      ::close(ends[1]);
      return fail(ErrorCode::kIo, fmt::format("cannot fork the guard process: {}", std::strerror(fork_errno)));
    }
    if (pipe_ >= 0) ::close(pipe_);
    pipe_ = ends[1];
    pid_ = child;
    for (const pid_t group : groups_) send(pipe_, {.add = 1, .group = group});
    return pipe_;
  }

  std::mutex mutex_;
  int pipe_ = -1;
  pid_t pid_ = -1;
  std::vector<pid_t> groups_;  // live ones, as many as children
};

Guard& guard() {
  static Guard* const instance = new Guard;  // never destroyed: the pipe must stay open until the process is gone
  return *instance;
}

}  // namespace

Result<int> ready() { return guard().ready(); }

void register_from_child(int guard_fd, pid_t group) noexcept { send(guard_fd, {.add = 1, .group = group}); }

void add(pid_t group) { guard().add(group); }

void remove(pid_t group) { guard().remove(group); }

}  // namespace llmd::process_guard
