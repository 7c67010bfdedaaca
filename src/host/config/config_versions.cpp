#include "config/config_versions.h"

#include <algorithm>
#include <utility>

namespace llmd::config {

std::uint64_t ConfigVersions::add(ConfigVersion version) {
  const std::scoped_lock lock{mutex_};
  version.number = ++last_;
  versions_.push_back(std::move(version));
  if (versions_.size() > kVersionsMax) versions_.pop_front();
  return last_;
}

std::optional<ConfigVersion> ConfigVersions::find(std::uint64_t number) const {
  const std::scoped_lock lock{mutex_};
  const auto found = std::ranges::find(versions_, number, &ConfigVersion::number);
  return found == versions_.end() ? std::nullopt : std::optional{*found};
}

ConfigVersion ConfigVersions::current() const {
  const std::scoped_lock lock{mutex_};
  return versions_.back();
}

std::vector<ConfigVersion> ConfigVersions::list() const {
  const std::scoped_lock lock{mutex_};
  return {versions_.begin(), versions_.end()};
}

}  // namespace llmd::config
