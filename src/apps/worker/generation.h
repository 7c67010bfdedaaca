#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "apps/worker/event_router.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"
#include "kvstore/block.h"
#include "runtime/event.h"
#include "runtime/loop.h"

namespace llmd::worker {

/// The sequences of one request, numbered in the order of submission, and their events until the last has finished.
/// Belongs to one loop. Destroying it cancels what still runs, so a request that ends for whatever reason leaves
/// nothing behind.
class Generation final : public EventReceiver {
 public:
  struct Item {
    std::size_t index = 0;  // of the sequence
    SequenceEvent event;
  };

  Generation(Loop& loop, Engine& engine, std::shared_ptr<EventRouter> router);
  ~Generation() override;
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  /// Errors as Engine::submit. What was submitted before stays and ends with this object.
  [[nodiscard]] Result<void> submit(SequenceRequest request);

  /// Keeps blocks in the store until each sequence has begun, which is when it has taken what it can use.
  void hold(std::vector<kvstore::BlockHandle> blocks) { held_ = std::move(blocks); }

  /// All events since the last call, in order; waits for the first. Empty once all sequences have finished.
  /// Errors: kCancelled after cancel(), kDeadlineExceeded.
  [[nodiscard]] Task<Result<std::vector<Item>>> next(TimePoint deadline);

  /// The client went away: the sequences are cancelled, and next() says so.
  void cancel();

 private:
  void on_event(SequenceEvent&& event) override;
  void cancel_running();

  Engine& engine_;
  std::shared_ptr<EventRouter> router_;
  Event ready_;
  struct Running {
    std::size_t index = 0;
    bool begun = false;
  };
  std::unordered_map<SequenceId, Running> running_;
  std::size_t submitted_ = 0;
  std::size_t not_begun_ = 0;
  std::vector<kvstore::BlockHandle> held_;
  std::vector<Item> pending_;
  bool cancelled_ = false;
};

}  // namespace llmd::worker
