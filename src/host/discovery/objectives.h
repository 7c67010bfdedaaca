#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "discovery/kube_objects.h"

namespace llmd::discovery {

/// What the InferenceObjectives of one pool say: the priority of requests that name one. A value: who reads gets a
/// copy.
class Objectives {
 public:
  static constexpr std::size_t kCountMax = 4'096;  // further ones have no effect

  /// The one of that name is this from now on. False: there is no room.
  bool put(const InferenceObjective& objective) {
    if (priorities_.size() == kCountMax && !priorities_.contains(objective.name)) return false;
    priorities_[objective.name] = objective.priority;
    return true;
  }
  void remove(std::string_view name) {
    if (const auto found = priorities_.find(name); found != priorities_.end()) priorities_.erase(found);
  }
  void clear() noexcept { priorities_.clear(); }

  /// Higher is more urgent, negative may be shed. 0 for a name that is not known, as in llm-d.
  [[nodiscard]] int priority(std::string_view name) const {
    const auto found = priorities_.find(name);
    return found == priorities_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::size_t size() const noexcept { return priorities_.size(); }

 private:
  std::map<std::string, int, std::less<>> priorities_;
};

}  // namespace llmd::discovery
