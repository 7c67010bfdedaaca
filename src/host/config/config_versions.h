#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace llmd::config {

/// A configuration that was in force.
struct ConfigVersion {
  std::uint64_t number = 0;  // from 1, never used again
  std::string source{};      // a file, "built-in configuration", "rollback to version 3"
  std::string text{};        // as it was read
  std::string effective{};   // effective_yaml() of it
  std::chrono::system_clock::time_point since{};
};

/// The configurations that a process has had, newest last. Holds the last 16 of at most 1 MiB of text each; older ones
/// are forgotten. Thread-safe.
class ConfigVersions {
 public:
  static constexpr std::size_t kVersionsMax = 16;

  /// Numbers and keeps it, as the one in force.
  std::uint64_t add(ConfigVersion version);
  [[nodiscard]] std::optional<ConfigVersion> find(std::uint64_t number) const;
  /// Pre: one was added.
  [[nodiscard]] ConfigVersion current() const;
  [[nodiscard]] std::vector<ConfigVersion> list() const;

 private:
  mutable std::mutex mutex_;
  std::deque<ConfigVersion> versions_;
  std::uint64_t last_ = 0;
};

}  // namespace llmd::config
