#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "engine/llama/sequence.h"

namespace llmd::engine {

/// What other threads ask of the engine's thread.
struct Command {
  enum class Kind : std::uint8_t { kSubmit, kCancel, kStop };
  Kind kind = Kind::kStop;
  SequenceId id{};
  std::unique_ptr<Sequence> sequence{};  // kSubmit
};

/// The commands on their way to the engine's thread. Bounded by who posts: submissions by waiting_max, the others by
/// what was submitted. Thread-safe.
class Inbox {
 public:
  /// False if the inbox is closed: the command is dropped.
  bool post(Command&& command);
  /// All commands there are; if none, waits for one until `deadline`.
  [[nodiscard]] std::vector<Command> take(TimePoint deadline);
  /// Refuses further commands; returns those that were not taken.
  [[nodiscard]] std::vector<Command> close();

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::vector<Command> commands_;
  bool closed_ = false;
};

}  // namespace llmd::engine
