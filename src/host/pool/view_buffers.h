#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "pool/pool.h"

namespace llmd::pool {

/// Views that nobody reads any more, to be brought up to date and published again: most of a view is as it was, and
/// what has changed is far less than a thousand endpoints with their reference counts. Thread-safe.
class ViewBuffers : public std::enable_shared_from_this<ViewBuffers> {
 public:
  /// Of views that nobody reads; one more is freed. Two loops and a health check may each hold one for a while.
  static constexpr std::size_t kSparesMax = 4;

  ViewBuffers();
  /// The newest that is spare, as it was published; an empty one of version 0 if none has at least `version_min`.
  [[nodiscard]] std::unique_ptr<PoolView> take(std::uint64_t version_min);
  /// Nobody writes to it until the last reader has let it go; then it is spare. Pre: owned by a shared_ptr.
  [[nodiscard]] std::shared_ptr<const PoolView> publish(std::unique_ptr<PoolView> view);

 private:
  void give_back(std::unique_ptr<PoolView> view) noexcept;

  std::mutex mutex_;
  std::vector<std::unique_ptr<PoolView>> spares_;
};

}  // namespace llmd::pool
