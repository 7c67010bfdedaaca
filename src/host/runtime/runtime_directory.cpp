#include "runtime/runtime_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace llmd {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSocketPathMax = 107;  // of sockaddr_un
constexpr std::size_t kFileNameMax = 24;     // of a socket inside

std::unexpected<Error> io_error(std::string_view what, const std::string& path) {
  return fail(ErrorCode::kIo, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

/// Makes the base, or checks that the one that is there is ours alone: others could put sockets of theirs into it.
Result<void> make_base(const std::string& base) {
  if (::mkdir(base.c_str(), 0700) != 0 && errno != EEXIST) return io_error("cannot make the folder", base);
  struct stat info{};
  if (::lstat(base.c_str(), &info) != 0) return io_error("cannot look at", base);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 0077U) != 0) {
    return fail(ErrorCode::kIo, fmt::format("{} is not a folder that belongs to this user alone", base),
                "remove it, or set XDG_RUNTIME_DIR to a private folder");
  }
  return {};
}

/// The process of a folder's name, "up-123"; 0 if it has none.
pid_t pid_of(const std::string& name) {
  const std::size_t dash = name.rfind('-');
  pid_t pid = 0;
  if (dash == std::string::npos) return 0;
  const char* end = name.data() + name.size();
  return std::from_chars(name.data() + dash + 1, end, pid).ptr == end ? pid : 0;
}

void remove_left_behind(const std::string& base) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator{base, error}) {
    const pid_t pid = pid_of(entry.path().filename().string());
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), error);
  }
}

void remove_folder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  ::rmdir(fs::path{path}.parent_path().c_str());  // if it was the last
}

/// The child: waits until no process holds the pipe's other end.
[[noreturn]] void run_lifeline(int pipe_fd, const std::string& path) {
  ::setsid();
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) std::signal(signal, SIG_IGN);
  ::prctl(PR_SET_NAME, "llmd-lifeline");
  // It must hold neither the parent's files nor its output, or whoever reads that never sees the end.
  const int null_fd = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd) ::dup2(null_fd, fd);
  ::dup2(pipe_fd, 3);
  ::close_range(4, ~0U, 0);
  char byte = 0;
  while (::read(3, &byte, 1) > 0 || errno == EINTR) errno = 0;
  remove_folder(path);
  ::_exit(0);
}

}  // namespace

std::string runtime_base_path() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::string name = fmt::format("/llmd-{}", ::geteuid());
  std::error_code error;
  const bool usable = runtime != nullptr && runtime[0] == '/' && fs::is_directory(runtime, error) &&
                      std::strlen(runtime) + name.size() + 2 * kFileNameMax < kSocketPathMax;
  return (usable ? runtime : "/tmp") + name;
}

std::vector<std::string> find_runtime_files(std::string_view name) {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator{runtime_base_path(), error}) {
    const fs::path file = entry.path() / name;
    if (!fs::exists(file, error)) continue;
    found.emplace_back(fs::last_write_time(entry.path(), error), file.string());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> paths;
  for (auto& [time, path] : found) paths.push_back(std::move(path));
  return paths;
}

Result<std::unique_ptr<RuntimeDirectory>> RuntimeDirectory::create(std::string_view name) {
  const std::string base = runtime_base_path();
  LLMD_TRY_VOID(make_base(base));
  remove_left_behind(base);
  auto made = std::unique_ptr<RuntimeDirectory>{new RuntimeDirectory{fmt::format("{}/{}-{}", base, name, ::getpid())}};
  if (made->path_.size() + 1 + kFileNameMax > kSocketPathMax) {
    return fail(ErrorCode::kAddressInvalid, fmt::format("{} is too long for a unix socket in it", made->path_),
                "set XDG_RUNTIME_DIR to a shorter path");
  }
  std::error_code error;
  fs::remove_all(made->path_, error);  // of an earlier process with this number
  if (::mkdir(made->path_.c_str(), 0700) != 0) return io_error("cannot make the folder", made->path_);
  LLMD_TRY_VOID(made->start_lifeline());
  return made;
}

Result<void> RuntimeDirectory::start_lifeline() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return io_error("no pipe for the lifeline of", path_);
  lifeline_ = ::fork();
  if (lifeline_ == 0) {
    ::close(ends[1]);
    run_lifeline(ends[0], path_);
  }
  ::close(ends[0]);
  lifeline_fd_ = ends[1];
  if (lifeline_ < 0) return io_error("no lifeline for", path_);
  return {};
}

RuntimeDirectory::~RuntimeDirectory() {
  remove_folder(path_);
  if (lifeline_fd_ >= 0) ::close(lifeline_fd_);
  if (lifeline_ > 0) ::waitpid(lifeline_, nullptr, 0);
}

std::string RuntimeDirectory::file(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

}  // namespace llmd
