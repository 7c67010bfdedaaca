#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/server.h"

namespace llmd::rpc {

/// grpc.health.v1.Health as llm-d's endpoint picker serves it: Check, and List, of fixed service names; Watch is
/// UNIMPLEMENTED.
struct HealthService {
  std::vector<std::string> services;                         // "" is the server as a whole
  std::function<bool(std::string_view service)> is_serving;  // of one of these; called on any loop

  /// By path, for Server::listen().
  [[nodiscard]] std::map<std::string, Method, std::less<>> methods() const;
};

}  // namespace llmd::rpc
