#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>

namespace llmd::eppmetrics {

/// What stands for the values of a label that are too many.
inline constexpr std::string_view kOtherValue = "other";

/// The values of one label that clients choose: the first `values_max` stand for themselves for the life of a process,
/// all later ones are "other", as in llm-d. Thread-safe.
class BoundedLabel {
 public:
  static constexpr std::size_t kPinnedMax = 10'000;

  explicit BoundedLabel(std::size_t values_max) : values_max_{values_max} {}
  /// `value` or "other". The same value gives the same answer from now on. Empty ones do not count.
  [[nodiscard]] std::string_view bound(std::string_view value);
  /// It stands for itself from now on, and does not count: a name of the configuration, which clients must not be able
  /// to crowd out. Beyond kPinnedMax nothing happens.
  void pin(std::string_view value);

 private:
  const std::size_t values_max_;
  std::shared_mutex mutex_;  // guards the two below
  std::set<std::string, std::less<>> seen_;
  std::set<std::string, std::less<>> pinned_;
};

}  // namespace llmd::eppmetrics
