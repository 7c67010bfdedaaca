#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"

struct ggml_threadpool;

namespace llmd::llamacpp {

/// Compute threads shared by the contexts of one engine, which use it one after the other. The calling thread is one of
/// them.
class ThreadPool {
 public:
  /// Error kInternal.
  [[nodiscard]] static Result<std::unique_ptr<ThreadPool>> make(std::uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] std::uint32_t threads() const noexcept { return threads_; }
  [[nodiscard]] ggml_threadpool* raw() const noexcept { return pool_; }

 private:
  ThreadPool() = default;
  std::uint32_t threads_ = 1;
  ggml_threadpool* pool_ = nullptr;
};

}  // namespace llmd::llamacpp
