#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "discovery/model_rewrites.h"
#include "discovery/objectives.h"

namespace llmd::discovery {

/// What Kubernetes' objects say of requests, at one moment. Immutable once it is published.
struct RequestRules {
  Objectives objectives;
  ModelRewrites rewrites;
};

/// The rules in force. Any thread.
class RulesBoard {
 public:
  void publish(std::shared_ptr<const RequestRules> rules) {
    {
      const std::scoped_lock lock{mutex_};
      rules_ = std::move(rules);
    }
    version_.fetch_add(1, std::memory_order_release);
  }
  [[nodiscard]] std::shared_ptr<const RequestRules> rules() const {
    const std::scoped_lock lock{mutex_};
    return rules_;
  }
  [[nodiscard]] std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const RequestRules> rules_ = std::make_shared<const RequestRules>();  // under mutex_
  std::atomic<std::uint64_t> version_{1};
};

/// The board as one loop reads it: without a lock, but where the rules are others than at the last look.
class CurrentRules {
 public:
  explicit CurrentRules(const RulesBoard& board) noexcept : board_{board} {}

  [[nodiscard]] const std::shared_ptr<const RequestRules>& get() {
    const std::uint64_t version = board_.version();  // before the rules: they are that new, or newer
    if (version != version_) {
      rules_ = board_.rules();
      version_ = version;
    }
    return rules_;
  }

 private:
  const RulesBoard& board_;
  std::uint64_t version_ = 0;
  std::shared_ptr<const RequestRules> rules_;
};

}  // namespace llmd::discovery
