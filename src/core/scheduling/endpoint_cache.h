#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/endpoint.h"

namespace llmd::scheduling {

class Plugin;

/// What a plugin derived from an endpoint's fixed part (Plugin::fixed_value). What the members mean is the plugin's.
struct FixedValue {
  float low = 0;
  float high = 0;
  std::array<std::uint64_t, 4> ids{};
};

/// What plugins derived from the endpoints of the last snapshot seen, and who lists which model: made anew only when an
/// endpoint is another object than before, or the plugins are. Part of a thread's scratch; not thread-safe.
class EndpointCache {
 public:
  EndpointCache() = default;
  EndpointCache(const EndpointCache&) = delete;
  EndpointCache& operator=(const EndpointCache&) = delete;

  /// One comparison of pointers an endpoint while the pool stays as it is. `plugins` are those with fixed values; they
  /// must not change while `owner` stays the same object.
  void update(std::span<const EndpointState> endpoints, std::span<const Plugin* const> plugins,
              const std::shared_ptr<const int>& owner);
  /// One an endpoint of the last update: the fixed values of plugins[plugin]. Valid until the next update.
  [[nodiscard]] std::span<const FixedValue> fixed(std::size_t plugin) const noexcept {
    return std::span{fixed_}.subspan(plugin * endpoints_.size(), endpoints_.size());
  }
  /// One mark an endpoint of the last update: 1 if it lists the model, or has not told yet what it serves. Empty if no
  /// model is named: any endpoint will do. One look-up by name, and a mark an endpoint where the model is another than
  /// before; no allocation once there were as many endpoints. The view is valid until the next call.
  std::span<const std::uint8_t> serving(std::string_view model);

 private:
  using Members = std::vector<std::uint32_t>;  // places of endpoints
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };
  std::vector<std::shared_ptr<const Endpoint>> endpoints_;
  std::vector<FixedValue> fixed_;     // a row a plugin
  std::shared_ptr<const int> owner_;  // held, so that its address names no other meanwhile
  std::unordered_map<std::string, Members, NameHash, std::equal_to<>> models_;
  Members untold_;  // endpoints that list no model yet
  const Members none_;
  const Members* marked_ = nullptr;  // whose marks are set beside untold_; null: nobody's
  std::vector<std::uint8_t> marks_;
};

}  // namespace llmd::scheduling
