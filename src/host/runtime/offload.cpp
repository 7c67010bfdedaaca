#include "runtime/offload.h"

#include <fmt/format.h>

namespace llmd {

Offload::Offload(unsigned threads, std::size_t jobs_max) : jobs_max_{jobs_max}, pool_{threads} {}

Offload::~Offload() { pool_.join(); }

bool Offload::try_post(std::move_only_function<void()> job) {
  if (jobs_.fetch_add(1, std::memory_order_relaxed) >= jobs_max_) {
    jobs_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  asio::post(pool_, [this, job = std::move(job)]() mutable {
    job();
    jobs_.fetch_sub(1, std::memory_order_relaxed);
  });
  return true;
}

Error Offload::queue_full() const {
  return Error{.code = ErrorCode::kOverloaded,
               .what = fmt::format("{} long requests are being prepared; at most {} may be", jobs(), jobs_max_),
               .hint = "try again later"};
}

Error Offload::too_late() {
  return Error{.code = ErrorCode::kDeadlineExceeded,
               .what = "preparing the request took longer than the request may take"};
}

}  // namespace llmd
