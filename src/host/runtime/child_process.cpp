#include "runtime/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "runtime/process_guard.h"

extern char** environ;

namespace llmd {
namespace {

using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

/// How long output is awaited after the child is gone: only a process that left the group can still hold the pipe.
constexpr Duration kOutputWait = seconds{1};
constexpr int kLoadWaitMs = 10'000;

/// A descriptor that closes itself.
class File {
 public:
  explicit File(int fd = -1) noexcept : fd_{fd} {}
  File(File&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct Pipe {
  File read_end;
  File write_end;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(ErrorCode::kIo, fmt::format("no pipe for a child process: {}", std::strerror(errno)));
  }
  return Pipe{.read_end = File{ends[0]}, .write_end = File{ends[1]}};
}

std::vector<std::string> merged_environment(const std::vector<std::string>& added) {
  std::vector<std::string> merged = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view inherited{*entry};
    const std::string_view name = inherited.substr(0, inherited.find('=') + 1);
    const auto replaces = [name](const std::string& own) { return own.starts_with(name); };
    if (std::none_of(added.begin(), added.end(), replaces)) merged.emplace_back(inherited);
  }
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// What the new process needs between fork and exec, where nothing may allocate.
struct Launch {
  char** argv;
  char** environment;
  int null_fd, stdout_fd, stderr_fd, failure_fd, guard_fd;
  pid_t parent;
};

[[noreturn]] void run_child(const Launch& launch) noexcept {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launch.parent) ::_exit(127);  // the parent ended before the line above
  process_guard::register_from_child(launch.guard_fd, ::getpid());
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int restored : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(restored, SIG_DFL);
  ::dup2(launch.null_fd, STDIN_FILENO);
  ::dup2(launch.stdout_fd, STDOUT_FILENO);
  ::dup2(launch.stderr_fd, STDERR_FILENO);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(launch.argv[0], launch.argv, launch.environment);
  const int failure = errno;
  [[maybe_unused]] const ssize_t written = ::write(launch.failure_fd, &failure, sizeof failure);
  ::_exit(127);
}

/// 0 once the program is loaded, else why it is not.
int wait_until_loaded(int failure_fd) {
  pollfd ready{.fd = failure_fd, .events = POLLIN, .revents = 0};
  int failure = 0;
  int polled = 0;
  do {
    polled = ::poll(&ready, 1, kLoadWaitMs);
  } while (polled < 0 && errno == EINTR);
  if (polled == 0) return ETIMEDOUT;
  return ::read(failure_fd, &failure, sizeof failure) == static_cast<ssize_t>(sizeof failure) ? failure : 0;
}

}  // namespace

std::string ChildExit::to_string() const {
  if (signal != 0) return fmt::format("signal {} ({})", signal, ::strsignal(signal));
  return fmt::format("exit code {}", code);
}

struct ChildProcess::State : std::enable_shared_from_this<State> {
  struct Output {
    Output(Loop& loop, int fd, ChildStream which) : descriptor{loop.executor(), fd}, stream{which} {}
    Descriptor descriptor;
    ChildStream stream;
    std::array<char, 4096> piece{};
    std::string line;
    bool open = true;
  };

  State(Loop& loop, ChildOptions given, pid_t child, int pidfd, int stdout_fd, int stderr_fd)
      : options{std::move(given)},
        pid{child},
        exit_descriptor{loop.executor(), pidfd},
        timer{loop.executor()},
        out{loop, stdout_fd, ChildStream::kStdout},
        err{loop, stderr_fd, ChildStream::kStderr} {}

  ~State() {  // without the exit seen: the loop went first
    if (reaped) return;
    ::kill(-pid, SIGKILL);
    pollfd gone{.fd = exit_descriptor.native_handle(), .events = POLLIN, .revents = 0};
    ::poll(&gone, 1, 1'000);
    ::waitpid(pid, nullptr, WNOHANG);
    process_guard::remove(pid);
  }

  void start() {
    read(out);
    read(err);
    exit_descriptor.async_wait(Descriptor::wait_read,
                               [self = shared_from_this()](const boost::system::error_code& error) {
                                 if (!error) self->on_gone();
                               });
  }

  void read(Output& from) {
    from.descriptor.async_read_some(
        asio::buffer(from.piece),
        [self = shared_from_this(), &from](const boost::system::error_code& error, std::size_t bytes) {
          self->take_lines(from, std::string_view{from.piece.data(), bytes});
          if (!error) {
            self->read(from);
            return;
          }
          if (!from.line.empty()) self->emit(from);
          from.open = false;
          self->finish_if_complete();
        });
  }

  void take_lines(Output& from, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t room = kLineBytesMax - from.line.size();
      const std::size_t end = bytes.find('\n');
      const std::size_t length = std::min({end, bytes.size(), room});
      from.line.append(bytes.substr(0, length));
      const bool ended = length == end;
      bytes.remove_prefix(length + (ended ? 1 : 0));
      if (ended || from.line.size() == kLineBytesMax) emit(from);
    }
  }

  void emit(Output& from) {
    const std::string line = std::exchange(from.line, {});
    if (options.on_line) options.on_line(from.stream, line);
  }

  void on_gone() {
    // The child is a zombie, so its number still names its group: what is left of that ends now.
    ::kill(-pid, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    process_guard::remove(pid);
    reaped = true;
    if (info.si_code == CLD_EXITED) {
      exit.code = info.si_status;
    } else {
      exit.signal = info.si_status;
    }
    timer.expires_after(kOutputWait);  // also ends the grace of terminate()
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error) return;
      self->out.open = self->err.open = false;
      self->finish_if_complete();
    });
    finish_if_complete();
  }

  void finish_if_complete() {
    if (!reaped || out.open || err.open || std::exchange(finished, true)) return;
    const auto self = shared_from_this();  // on_exit may destroy the ChildProcess
    boost::system::error_code ignored;
    out.descriptor.close(ignored);
    err.descriptor.close(ignored);
    timer.cancel();
    options.on_line = nullptr;
    if (const auto callback = std::exchange(options.on_exit, nullptr)) callback(exit);
  }

  void terminate(Duration grace) {
    if (reaped) return;
    ::kill(pid, SIGTERM);
    timer.expires_after(grace);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->kill_group();
    });
  }

  void kill_group() const {
    if (!reaped) ::kill(-pid, SIGKILL);
  }

  ChildOptions options;
  const pid_t pid;
  Descriptor exit_descriptor;
  Timer timer;
  Output out;
  Output err;
  ChildExit exit;
  bool reaped = false;
  bool finished = false;
};

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(Loop& loop, ChildOptions options) {
  if (options.argv.empty()) return fail(ErrorCode::kInternal, "spawn() needs the path of a program in argv[0]");
  LLMD_TRY(const int guard_fd, process_guard::ready());
  LLMD_TRY(Pipe out, make_pipe());
  LLMD_TRY(Pipe err, make_pipe());
  LLMD_TRY(Pipe failure, make_pipe());
  const File null_file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  std::vector<std::string> environment = merged_environment(options.environment);
  const std::vector<char*> argv = pointers(options.argv);
  const std::vector<char*> envp = pointers(environment);
  const Launch launch{.argv = const_cast<char**>(argv.data()),
                      .environment = const_cast<char**>(envp.data()),
                      .null_fd = null_file.get(),
                      .stdout_fd = out.write_end.get(),
                      .stderr_fd = err.write_end.get(),
                      .failure_fd = failure.write_end.get(),
                      .guard_fd = guard_fd,
                      .parent = ::getpid()};
  const pid_t child = ::fork();
  if (child == 0) run_child(launch);
  if (child < 0) {
    return fail(ErrorCode::kIo, fmt::format("cannot fork for {}: {}", options.argv[0], std::strerror(errno)));
  }
  ::setpgid(child, child);  // here too, so that the group exists whichever process runs first
  process_guard::add(child);
  failure.write_end = File{};
  out.write_end = File{};
  err.write_end = File{};
  const int load_errno = wait_until_loaded(failure.read_end.get());
  const int pidfd = load_errno == 0 ? static_cast<int>(::syscall(SYS_pidfd_open, child, 0)) : -1;
  const int pidfd_errno = errno;
  if (pidfd < 0) {
    ::kill(-child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    process_guard::remove(child);
    const int reason = load_errno != 0 ? load_errno : pidfd_errno;
    return fail(reason == ENOENT || reason == EACCES ? ErrorCode::kFileNotFound : ErrorCode::kIo,
                fmt::format("cannot run {}: {}", options.argv[0], std::strerror(reason)),
                "give the path of an executable program");
  }
  auto state =
      std::make_shared<State>(loop, std::move(options), child, pidfd, out.read_end.release(), err.read_end.release());
  state->start();
  return std::unique_ptr<ChildProcess>{new ChildProcess{std::move(state)}};
}

ChildProcess::ChildProcess(std::shared_ptr<State> state) : state_{std::move(state)} {}

ChildProcess::~ChildProcess() {
  state_->options.on_line = nullptr;
  state_->options.on_exit = nullptr;
  state_->kill_group();
}

pid_t ChildProcess::pid() const noexcept { return state_->pid; }

bool ChildProcess::running() const noexcept { return !state_->reaped; }

void ChildProcess::terminate(Duration grace) { state_->terminate(grace); }

void ChildProcess::kill() { state_->kill_group(); }

}  // namespace llmd
