#include "llamacpp/thread_pool.h"

#include <algorithm>

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "llamacpp/backend.h"

namespace llmd::llamacpp {
namespace {

/// The CPU backend may be a library loaded at run time, so its functions are asked for by name.
template <class Function>
Function* cpu_function(const char* name) {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) return nullptr;
  return reinterpret_cast<Function*>(ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), name));
}

}  // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::make(std::uint32_t threads) {
  ensure_backend();
  auto* create = cpu_function<decltype(ggml_threadpool_new)>("ggml_threadpool_new");
  std::unique_ptr<ThreadPool> pool{new ThreadPool};
  pool->threads_ = std::clamp<std::uint32_t>(threads, 1, GGML_MAX_N_THREADS);
  if (create != nullptr) {
    ggml_threadpool_params params;
    ggml_threadpool_params_init(&params, static_cast<int>(pool->threads_));
    // Its default spins for half a second after each batch, on cores that the rest of the machine could use. Waking a
    // sleeping thread costs some microseconds, once a batch.
    params.poll = 0;
    pool->pool_ = create(&params);
  }
  if (pool->pool_ == nullptr) return fail(ErrorCode::kInternal, "llama.cpp's CPU backend gives no thread pool");
  return pool;
}

ThreadPool::~ThreadPool() {
  auto* destroy = cpu_function<decltype(ggml_threadpool_free)>("ggml_threadpool_free");
  if (pool_ != nullptr && destroy != nullptr) destroy(pool_);
}

}  // namespace llmd::llamacpp
