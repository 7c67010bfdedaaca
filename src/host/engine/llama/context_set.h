#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "batching/batch_scheduler.h"
#include "llamacpp/context.h"

namespace llmd::engine {

/// The contexts of the slot classes. The first is made at once, a larger one when its first sequence comes: its memory
/// (counted when the engine was planned) and the time to clear it are spent only if they are needed. Engine's thread.
class ContextSet {
 public:
  /// `threads` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<ContextSet>> make(std::shared_ptr<const llamacpp::Model> model,
                                                                const llamacpp::ThreadPool& threads,
                                                                std::vector<llamacpp::ContextOptions> classes);

  [[nodiscard]] const llamacpp::Context& first() const noexcept { return *contexts_.front(); }
  [[nodiscard]] std::size_t size() const noexcept { return classes_.size(); }
  /// Makes the class's context if it is not there. Errors: kOutOfMemory, kInternal.
  [[nodiscard]] Result<void> ensure(std::uint32_t slot_class);
  /// Pre: ensure() succeeded for it once.
  [[nodiscard]] llamacpp::Context& at(std::uint32_t slot_class) noexcept { return *contexts_[slot_class]; }
  /// Forgets what the slot holds, if its context is there.
  void clear(batching::Slot slot);
  void clear_all();

 private:
  ContextSet(std::shared_ptr<const llamacpp::Model> model, const llamacpp::ThreadPool& threads,
             std::vector<llamacpp::ContextOptions> classes);
  std::shared_ptr<const llamacpp::Model> model_;
  const llamacpp::ThreadPool& threads_;
  std::vector<llamacpp::ContextOptions> classes_;
  std::vector<std::unique_ptr<llamacpp::Context>> contexts_;
};

}  // namespace llmd::engine
