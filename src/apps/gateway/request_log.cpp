#include "apps/gateway/request_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

#include "telemetry/log.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kWriteBytes = 64U << 10U;  // at once, about
constexpr unsigned kMode = 0600;                 // who asks what, and when, is nobody else's business

Digest256 fresh_salt() {
  std::random_device device;
  Digest256 salt;
  for (std::size_t at = 0; at < salt.size(); at += sizeof(std::uint32_t)) {
    const std::uint32_t word = device();
    std::memcpy(salt.data() + at, &word, sizeof word);
  }
  return salt;
}

Counter& lines_counter(MetricsRegistry& metrics, const char* result) {
  return metrics.counter("llmd_gateway_recorded_requests_total",
                         "Requests for the recorded log, by what became of them", {{"result", result}});
}

}  // namespace

RequestLog::RequestLog(Options options, MetricsRegistry& metrics)
    : options_{std::move(options)},
      lines_{fresh_salt(), SteadyClock::now()},
      written_{lines_counter(metrics, "written")},
      dropped_{lines_counter(metrics, "dropped")} {}

Result<std::unique_ptr<RequestLog>> RequestLog::open(Options options, MetricsRegistry& metrics) {
  std::unique_ptr<RequestLog> log{new RequestLog{std::move(options), metrics}};
  LLMD_TRY_VOID(log->begin_file());
  log->thread_ = std::thread{[raw = log.get()] { raw->run(); }};
  return log;
}

RequestLog::~RequestLog() {
  {
    const std::scoped_lock lock{mutex_};
    closing_ = true;
  }
  some_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Result<void> RequestLog::begin_file() {
  file_.reset();
  file_bytes_ = 0;
  std::error_code error;
  const auto there = std::filesystem::status(options_.path, error);
  if (std::filesystem::exists(there)) {
    if (!std::filesystem::is_regular_file(there))
      return fail(ErrorCode::kIo, fmt::format("{} is no file", options_.path), "give --record the path of a file");
    std::filesystem::rename(options_.path, options_.path + ".1", error);
    if (error)
      return fail(ErrorCode::kIo,
                  fmt::format("{} cannot be moved to {}.1: {}", options_.path, options_.path, error.message()));
  }
  const int descriptor = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  if (descriptor >= 0) file_.reset(::fdopen(descriptor, "a"));
  if (file_) {
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);
    return {};
  }
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  return fail(ErrorCode::kIo,
              fmt::format("{} cannot be written: {}", options_.path, std::generic_category().message(reason)));
}

void RequestLog::add(LoggedRequest request) {
  const std::size_t bytes = bytes_of(request);
  bool first = false;
  {
    const std::scoped_lock lock{mutex_};
    if (queue_.size() >= options_.queued_max || queued_bytes_ + bytes > options_.queued_bytes_max) {
      dropped_.add();
      return;
    }
    first = queue_.empty();
    queued_bytes_ += bytes;
    queue_.push_back(std::move(request));
  }
  if (first) some_.notify_one();
}

bool RequestLog::wait_for_some(std::deque<LoggedRequest>& batch) {
  std::unique_lock lock{mutex_};
  some_.wait(lock, [this] { return closing_ || !queue_.empty(); });
  batch.swap(queue_);
  queued_bytes_ = 0;
  return !batch.empty();
}

void RequestLog::run() {
  std::deque<LoggedRequest> batch;
  while (wait_for_some(batch)) {
    for (const LoggedRequest& request : batch) write(request);
    end_batch();
    batch.clear();
  }
}

/// False: not now.
bool RequestLog::make_room(std::size_t bytes) {
  const std::uint64_t held = file_bytes_ + unwritten_.size();
  const bool full = held > 0 && held + bytes > options_.bytes_max / 2;
  if (full || unwritten_.size() >= kWriteBytes) end_batch();
  if (SteadyClock::now() < retry_at_) return false;
  if (file_ && !full) return true;
  const Result<void> begun = begin_file();
  if (!begun) pause(begun.error().to_string());
  return begun.has_value();
}

void RequestLog::write(const LoggedRequest& request) {
  line_.clear();
  lines_.append(request, line_);
  if (!make_room(line_.size())) {
    dropped_.add();
    return;
  }
  unwritten_ += line_;
  ++unwritten_lines_;
}

void RequestLog::end_batch() {
  if (unwritten_lines_ == 0) return;
  const bool all = std::fwrite(unwritten_.data(), 1, unwritten_.size(), file_.get()) == unwritten_.size();
  const int reason = errno;
  (all ? written_ : dropped_).add(static_cast<double>(std::exchange(unwritten_lines_, 0)));
  if (all) file_bytes_ += unwritten_.size();
  unwritten_.clear();
  if (all) return;
  std::clearerr(file_.get());
  // No part of a line may stay for the next one to join. What cannot be cut back is left, and a new file begun.
  if (::ftruncate(::fileno(file_.get()), static_cast<off_t>(file_bytes_)) != 0) file_.reset();
  pause(fmt::format("{} cannot be written: {}", options_.path, std::generic_category().message(reason)));
}

void RequestLog::pause(const std::string& why) {
  log::warn("the recorded log: {}", why);
  retry_at_ = SteadyClock::now() + options_.retry_after;
}

}  // namespace llmd::gateway
