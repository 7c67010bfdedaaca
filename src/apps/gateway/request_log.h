#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "apps/gateway/logged_request.h"
#include "base/error.h"
#include "telemetry/metrics.h"

namespace llmd::gateway {

/// The file of `--record`: one line a request (docs/recorded-log.md), written by a thread of its own. What does not
/// fit the queue, or the disk, is dropped and counted; no request ever waits for it. A line is there whole or not at
/// all; after an error the next `retry_after` is dropped, too. When the file has half of the bytes allowed it becomes
/// FILE.1, in place of the one before, and a new one begins; so does what is there at the start.
class RequestLog {
 public:
  struct Options {
    std::string path;
    std::uint64_t bytes_max = 1ULL << 30U;  // of both files
    std::size_t queued_max = 4'096;         // requests
    std::size_t queued_bytes_max = 16U << 20U;
    Duration retry_after = seconds{1};
  };
  /// Error kIo: no such folder, no right to write, or no regular file. `metrics` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<RequestLog>> open(Options options, MetricsRegistry& metrics);
  /// Writes what is queued.
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  /// Thread-safe. A lock and a move; never waits for the disk.
  void add(LoggedRequest request);

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, CloseFile>;

  RequestLog(Options options, MetricsRegistry& metrics);
  [[nodiscard]] Result<void> begin_file();
  void run();
  [[nodiscard]] bool wait_for_some(std::deque<LoggedRequest>& batch);
  [[nodiscard]] bool make_room(std::size_t bytes);
  void write(const LoggedRequest& request);
  void end_batch();
  void pause(const std::string& why);

  const Options options_;
  LogLines lines_;
  Counter& written_;
  Counter& dropped_;
  File file_;  // unbuffered; this and the next five belong to the thread once it runs
  std::uint64_t file_bytes_ = 0;
  std::string unwritten_;
  std::uint64_t unwritten_lines_ = 0;
  TimePoint retry_at_{};
  std::string line_;

  std::mutex mutex_;  // guards the next three
  std::deque<LoggedRequest> queue_;
  std::size_t queued_bytes_ = 0;
  bool closing_ = false;
  std::condition_variable some_;
  std::thread thread_;
};

}  // namespace llmd::gateway
