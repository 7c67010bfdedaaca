#include "eppmetrics/bounded_label.h"

namespace llmd::eppmetrics {

std::string_view BoundedLabel::bound(std::string_view value) {
  if (value.empty()) return value;
  {
    const std::shared_lock lock{mutex_};
    if (seen_.contains(value) || pinned_.contains(value)) return value;
    if (seen_.size() >= values_max_) return kOtherValue;
  }
  const std::scoped_lock lock{mutex_};
  if (seen_.contains(value) || pinned_.contains(value)) return value;
  if (seen_.size() >= values_max_) return kOtherValue;
  seen_.emplace(value);
  return value;
}

void BoundedLabel::pin(std::string_view value) {
  const std::scoped_lock lock{mutex_};
  if (!value.empty() && pinned_.size() < kPinnedMax) pinned_.emplace(value);
}

}  // namespace llmd::eppmetrics
