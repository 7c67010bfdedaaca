#include "pool/view_buffers.h"

#include <algorithm>
#include <utility>

namespace llmd::pool {

ViewBuffers::ViewBuffers() { spares_.reserve(kSparesMax); }

std::unique_ptr<PoolView> ViewBuffers::take(std::uint64_t version_min) {
  std::vector<std::unique_ptr<PoolView>> outdated;  // freed without the lock
  const std::scoped_lock lock{mutex_};
  const auto newest = std::ranges::max_element(spares_, {}, [](const auto& spare) { return spare->snapshot.version; });
  if (newest == spares_.end()) return std::make_unique<PoolView>();
  std::unique_ptr<PoolView> taken = std::move(*newest);
  if (taken->snapshot.version >= version_min) {
    spares_.erase(newest);
    return taken;
  }
  outdated.reserve(kSparesMax);
  outdated.swap(spares_);
  outdated.push_back(std::move(taken));
  return std::make_unique<PoolView>();
}

std::shared_ptr<const PoolView> ViewBuffers::publish(std::unique_ptr<PoolView> view) {
  return {view.release(), [buffers = shared_from_this()](PoolView* read) noexcept {
            buffers->give_back(std::unique_ptr<PoolView>{read});
          }};
}

void ViewBuffers::give_back(std::unique_ptr<PoolView> view) noexcept {
  const std::scoped_lock lock{mutex_};
  if (spares_.size() < kSparesMax) spares_.push_back(std::move(view));
  // Else it is freed when this returns, after the lock: parameters outlive locals.
}

}  // namespace llmd::pool
