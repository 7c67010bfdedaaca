#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmd::pd {

/// The hosts that legs may be sent to, whatever their port: IP addresses as text, or names. Immutable.
class AllowList {
 public:
  /// Hosts without port; brackets around IPv6 addresses are taken off.
  explicit AllowList(const std::vector<std::string>& hosts);
  /// `host` without port. Letters count in either case.
  [[nodiscard]] bool contains(std::string_view host) const;
  [[nodiscard]] std::size_t size() const noexcept { return hosts_.size(); }

 private:
  std::set<std::string, std::less<>> hosts_;
};

/// Where the current list comes from: a file, flags, or a watch of the pool's pods. Thread-safe.
class AllowSource {
 public:
  virtual ~AllowSource() = default;
  /// Null: everything is allowed.
  [[nodiscard]] virtual std::shared_ptr<const AllowList> current() const = 0;
  /// Before the loop that it watches on is discarded. The list stays as it is.
  virtual void stop() {}
};

/// The same list always.
class FixedAllowSource final : public AllowSource {
 public:
  explicit FixedAllowSource(std::shared_ptr<const AllowList> list) noexcept : list_{std::move(list)} {}
  [[nodiscard]] std::shared_ptr<const AllowList> current() const override { return list_; }

 private:
  std::shared_ptr<const AllowList> list_;
};

}  // namespace llmd::pd
