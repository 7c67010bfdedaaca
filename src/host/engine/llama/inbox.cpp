#include "engine/llama/inbox.h"

#include <utility>

namespace llmd::engine {

bool Inbox::post(Command&& command) {
  {
    const std::lock_guard lock{mutex_};
    if (closed_) return false;
    commands_.push_back(std::move(command));
  }
  posted_.notify_one();
  return true;
}

std::vector<Command> Inbox::take(TimePoint deadline) {
  std::unique_lock lock{mutex_};
  posted_.wait_until(lock, deadline, [&] { return !commands_.empty(); });
  return std::exchange(commands_, {});
}

std::vector<Command> Inbox::close() {
  const std::lock_guard lock{mutex_};
  closed_ = true;
  return std::exchange(commands_, {});
}

}  // namespace llmd::engine
