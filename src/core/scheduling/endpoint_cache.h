#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/endpoint.h"

namespace llmd::scheduling {

/// What filters need of an endpoint's fixed part, without a look at its labels or names in each decision.
struct EndpointFacts {
  std::shared_ptr<const Endpoint> endpoint;
  bool may_decode = false;   // llm-d's decode-filter keeps it
  bool may_prefill = false;  // llm-d's prefill-filter keeps it
};

/// EndpointFacts of the last snapshot seen and who lists which model, made anew only when an endpoint is another object
/// than before. Part of a thread's scratch; not thread-safe.
class EndpointCache {
 public:
  EndpointCache() = default;
  EndpointCache(const EndpointCache&) = delete;
  EndpointCache& operator=(const EndpointCache&) = delete;

  /// One comparison of pointers an endpoint while the pool stays as it is. The view is valid until the next update.
  std::span<const EndpointFacts> update(std::span<const EndpointState> endpoints);
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
  std::vector<EndpointFacts> facts_;
  std::unordered_map<std::string, Members, NameHash, std::equal_to<>> models_;
  Members untold_;  // endpoints that list no model yet
  const Members none_;
  const Members* marked_ = nullptr;  // whose marks are set beside untold_; null: nobody's
  std::vector<std::uint8_t> marks_;
};

}  // namespace llmd::scheduling
